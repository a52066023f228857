"""Measure what a point costs beside the forward pass: moving the weights, and memory.

Run it from anywhere: `python benchmarks/costs.py [--net …] [--images 512] [--help]`. Printed are the median time of
moving the weights as a share of a whole point, and by how much the process grew at most while a 5×5 surface was
planned and evaluated, tracing included, beside the sizes of model, data and the activations of one batch (the outputs
of all layers of the module). It fails if moving takes more than 1 % or memory more than 1.5 times the three together.
"""

import argparse
import resource
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from contestants import planned_engine
from subject import Subject, load_subject
from torch import Tensor, nn

from gradscape._allocator import keep_freed_memory
from gradscape.landscape import evaluate_surface, random_directions

MOST_MOVING, MOST_MEMORY = 0.01, 1.5
BATCH = 64


def main() -> int:
    """Measure; the exit status."""
    parser = argparse.ArgumentParser(description="Measure what a point costs beside the forward pass.")
    parser.add_argument("--net", default="resnet56_projection")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    subject = load_subject(arguments.net, arguments.images)
    memory = memory_share(subject)
    shares = []
    for precision in ("fp32", "bf16"):
        engine = planned_engine(subject, precision)
        moving = median_seconds(partial(engine.network.move_to, [(0.3, -0.2)]))
        point = median_seconds(engine.point((0.3, -0.2)))
        shares.append(moving / point)
        print(f"{precision}: moving {1e3 * moving:.2f} ms of {1e3 * point:.0f} ms a point: {moving / point:.2%}")
    return int(max(shares) > MOST_MOVING or memory > MOST_MEMORY)


def memory_share(subject: Subject) -> float:
    """By how much memory grows for a surface, with model and data, as a share of model, data and activations."""
    tiny, axis = nn.Sequential(nn.Flatten(), nn.Linear(subject.images[0].numel(), 2)), np.linspace(-1, 1, 5)
    batches = [(subject.images, subject.labels)]
    evaluate_surface(tiny, [(subject.images, subject.labels % 2)], random_directions(tiny, seed=0), axis, axis)
    grown = growth(lambda: evaluate_surface(subject.net, batches, subject.directions, axis, axis, batch_size=BATCH))
    model, data = size_of([*subject.net.parameters(), *subject.net.buffers()]), size_of([subject.images])
    activations = activation_bytes(subject.net, subject.images[:BATCH])
    share = (grown + model + data) / (model + data + activations)
    print(f"memory: grew by {grown / 1e6:.0f} MB beyond model ({model / 1e6:.1f} MB) and data ({data / 1e6:.1f} MB)")
    print(f"  activations of {BATCH} images: {activations / 1e6:.0f} MB; all together {share:.2f} times the three")
    return share


def median_seconds(function: Callable[[], object], turns: int = 15) -> float:
    """Median time of a call."""
    seconds = []
    for _ in range(turns):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


def size_of(tensors: list[Tensor]) -> int:
    """Bytes of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def activation_bytes(net: nn.Module, images: Tensor) -> int:
    """Bytes of the outputs of all layers for one batch."""
    sizes: list[int] = []
    layers = [module for module in net.modules() if not list(module.children())]
    handles = [layer.register_forward_hook(lambda _, __, output: sizes.append(size_of([output]))) for layer in layers]
    with torch.no_grad():
        net(images)
    for handle in handles:
        handle.remove()
    return sum(sizes)


def growth(function: Callable[[], object]) -> int:
    """By how many bytes the resident memory grew at most during a call."""
    page, statm, stop = resource.getpagesize(), Path("/proc/self/statm"), threading.Event()
    before = most = int(statm.read_text().split()[1])

    def watch() -> None:
        nonlocal most
        while not stop.wait(0.002):
            most = max(most, int(statm.read_text().split()[1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    stop.set()
    watcher.join()
    return (most - before) * page


if __name__ == "__main__":
    sys.exit(main())
