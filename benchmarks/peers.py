"""Other tools for loss landscapes, those that install from the registry, each called as its documentation says.

They are no dependencies of gradscape. Run it from anywhere to time them alone on a plane of 5×5 points:
`python benchmarks/peers.py [--help]`. They choose their own scales (and loss-landscapes its own directions), so that
their losses cannot be compared with the others'; their time per point can.
"""

import argparse
import copy
import importlib
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType

import torch
from contestants import Contestant
from positions import Position
from subject import Subject, load_subject
from torch import Tensor, nn
from torch.nn import functional as F

STEPS = 3  # points along each axis of the plane that is one turn

Plane = Callable[[], None]


def peers(subject: Subject, *, steps: int = STEPS) -> dict[str, Contestant]:
    """Those that are installed and evaluate this network, by name; says what is missing and how to install it."""
    found = {}
    for name, version, module, plane in (
        ("loss-landscapes", "3.0.6", "loss_landscapes", _loss_landscapes),
        ("landscaper", "1.3.1", "landscaper.compute", _landscaper),
    ):
        try:
            package = importlib.import_module(module)
        except ImportError as problem:
            print(f"{name} is left out ({problem}): pip install {name}=={version}", flush=True)
            continue
        evaluate = plane(package, subject, steps)
        try:
            evaluate()
        except ArithmeticError as problem:
            print(f"{name} is left out: it fails on {subject.name} with {problem!r}", flush=True)
            continue
        note = f"planes of {steps} by {steps} points, all images in one batch"
        found[name] = Contestant(_timed(evaluate), points=steps**2, note=note)
    return found


def _timed(evaluate: Plane) -> Callable[[Position], Callable[[], float]]:
    def measure() -> float:
        evaluate()
        return float("nan")

    return lambda position: measure


def _loss_landscapes(package: ModuleType, subject: Subject, steps: int) -> Plane:
    metrics = importlib.import_module("loss_landscapes.metrics")
    metric = metrics.Loss(F.cross_entropy, subject.images, subject.labels)

    def evaluate() -> None:
        # It divides by the distance: this is a plane of a tenth of the weights' norm. It leaves a model moved.
        package.random_plane(subject.net, metric, distance=10, steps=steps, normalization="filter", deepcopy_model=True)

    return evaluate


def _landscaper(package: ModuleType, subject: Subject, steps: int) -> Plane:
    net = copy.deepcopy(subject.net)
    directions = [[direction[name].clone() for name, _ in net.named_parameters()] for direction in subject.directions]
    data = (subject.images, subject.labels)

    def loss(model: nn.Module, given: tuple[Tensor, Tensor]) -> float:
        return F.cross_entropy(model(given[0]), given[1]).item()

    def evaluate() -> None:
        with _silenced():
            package.compute_loss_landscape(net, data, directions, loss, steps=steps, distance=0.1, dim=2, device="cpu")

    return evaluate


@contextmanager
def _silenced() -> Iterator[None]:
    """Progress bars and prints go nowhere."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def main() -> None:
    """Time each peer on one plane."""
    parser = argparse.ArgumentParser(description="Time other tools alone.")
    parser.add_argument("--net", default="resnet56_projection")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5, help="points along each axis of the plane")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    subject = load_subject(arguments.net, arguments.images)
    print(subject.description)
    for name, contestant in peers(subject, steps=arguments.steps).items():
        measure = contestant.prepare((0.0, 0.0))
        start = time.perf_counter()
        measure()
        seconds = (time.perf_counter() - start) / contestant.points
        print(f"{name}: {seconds:.3f} s a point, {contestant.points} points")


if __name__ == "__main__":
    main()
