"""What the known tools do at every point of a landscape: the contestant that ratios refer to.

An eager fp32 network in torch's default memory format, batches of 128 images from a DataLoader whose worker processes
start anew at every point, a state dict built from the center and the two directions and loaded at every point, and a
loss and a number of right answers that are fetched after every batch.

Run it from anywhere to time it alone: `python benchmarks/plain_loop.py [--help]`.
"""

import argparse
import copy
import time
from collections.abc import Callable

import torch
from positions import Directions, Position, moved_state
from subject import load_subject
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

BATCH_SIZE = 128
WORKERS = 2  # the original tool's default


def plain_loop(
    net: nn.Module, images: Tensor, labels: Tensor, directions: Directions, *, workers: int = WORKERS
) -> Callable[[Position], tuple[float, float]]:
    """A function from a position to the mean loss and the accuracy there.

    Args:
        net: Any classifier; a copy of it is moved.
        images: (N, channels, height, width), normalized.
        labels: (N,).
        directions: The changes per unit of alpha and of beta.
        workers: Processes of the DataLoader; 0 loads in this process.
    """
    model = copy.deepcopy(net).eval()
    center = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    loader = DataLoader(TensorDataset(images, labels), batch_size=BATCH_SIZE, num_workers=workers)

    def evaluate(position: Position) -> tuple[float, float]:
        model.load_state_dict(moved_state(center, directions, position))
        loss, right = 0.0, 0
        with torch.no_grad():
            for inputs, wanted in loader:
                outputs = model(inputs)
                loss += F.cross_entropy(outputs, wanted, reduction="sum").item()
                right += (outputs.argmax(dim=1) == wanted).sum().item()
        return loss / len(images), right / len(images)

    return evaluate


def main() -> None:
    """Time a few points."""
    parser = argparse.ArgumentParser(description="Time the plain loop alone.")
    parser.add_argument("--net", default="resnet56_projection")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=WORKERS, help="processes of the DataLoader")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    subject = load_subject(arguments.net, arguments.images)
    evaluate = plain_loop(subject.net, subject.images, subject.labels, subject.directions, workers=arguments.workers)
    print(subject.description)
    for number in range(arguments.repeats):
        start = time.perf_counter()
        loss, accuracy = evaluate((0.25 * number, 0.0))
        seconds = time.perf_counter() - start
        print(f"alpha {0.25 * number:.2f}: loss {loss:.6f}, accuracy {100 * accuracy:.1f} %, {seconds:.3f} s")


if __name__ == "__main__":
    main()
