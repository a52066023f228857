"""Measure what the time of a surface grows with, and draw it: points, images, parameters, threads.

Run it from anywhere: `python benchmarks/scaling.py -o FOLDER [--help]`. Every size is measured several times, in turns;
a line is fitted to the medians, on plain axes where the cost should be linear, on logarithmic axes where it should be a
power, and printed with its r². Written are one png an axis and all numbers as `scaling.csv`. Freed memory is kept, as
gradscape's program does.
"""

import argparse
import csv
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from subject import Subject, load_subject

from gradscape._allocator import keep_freed_memory
from gradscape.landscape import evaluate_surface
from gradscape.models import count_parameters

IMAGES, STEPS = 64, 11  # where they are not what varies; enough work for the graph to be traced
STEP_COUNTS = (11, 15, 19, 23)
IMAGE_COUNTS = (64, 128, 256, 512)
WIDE_NET, WIDTHS = "mobilenet_v1@width={}", (0.25, 0.5, 0.75, 1.0, 1.5)

Measurements = Mapping[float, Callable[[], None]]  # size -> what is timed


@dataclass(frozen=True)
class Axis:
    """One quantity that the cost depends on.

    Attributes:
        measurements: What is timed, by the quantity's value.
        is_power: Whether a power is fitted, on logarithmic axes, instead of a line.
    """

    measurements: Measurements
    is_power: bool


@dataclass(frozen=True)
class Fit:
    """Seconds = offset + slope · x, or the same of logarithms."""

    slope: float
    offset: float
    r_squared: float


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description="Measure what the time of a surface grows with.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for pictures and numbers")
    parser.add_argument("--net", default="resnet20_projection")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    rows = []
    for name in arguments.axes:
        axis = AXES[name](arguments.net, arguments.threads)
        if len(axis.measurements) < 2:
            print(f"{name}: nothing to compare on this machine")
            continue
        sizes, seconds = _measured(axis.measurements, arguments.repeats)
        medians = np.median(seconds, axis=0)
        fit = _fitted(sizes, medians, is_power=axis.is_power)
        print(_sentence(name, fit, is_power=axis.is_power), flush=True)
        _draw(arguments.output / f"{name}.png", name, sizes, seconds, fit, is_power=axis.is_power)
        rows += [[name, size, *column] for size, column in zip(sizes, seconds.T, strict=True)]
    with (arguments.output / "scaling.csv").open("w", newline="") as file:
        repeats = [f"seconds_{number}" for number in range(arguments.repeats)]
        csv.writer(file).writerows([["axis", "size", *repeats], *rows])


def _points(net: str, threads: int) -> Axis:
    subject = load_subject(net, IMAGES)
    # The origin is evaluated beside the grid.
    return Axis({steps**2 + 1: _evaluation(subject, steps=steps) for steps in STEP_COUNTS}, is_power=False)


def _images(net: str, threads: int) -> Axis:
    return Axis({count: _evaluation(load_subject(net, count)) for count in IMAGE_COUNTS}, is_power=False)


def _parameters(net: str, threads: int) -> Axis:
    subjects = [load_subject(WIDE_NET.format(width), IMAGES) for width in WIDTHS]
    return Axis({count_parameters(subject.net): _evaluation(subject) for subject in subjects}, is_power=True)


def _threads(net: str, threads: int) -> Axis:
    subject = load_subject(net, IMAGES)

    def evaluation(count: int) -> Callable[[], None]:
        evaluate = _evaluation(subject)

        def timed() -> None:
            torch.set_num_threads(count)
            try:
                evaluate()
            finally:
                torch.set_num_threads(threads)

        return timed

    counts = (2**power for power in range(64))
    available = os.cpu_count() or 1
    return Axis({count: evaluation(count) for count in counts if count <= available}, is_power=True)


AXES: dict[str, Callable[[str, int], Axis]] = {
    "points": _points,
    "images": _images,
    "parameters": _parameters,
    "threads": _threads,
}


def _evaluation(subject: Subject, *, steps: int = STEPS) -> Callable[[], None]:
    axis = np.linspace(-0.5, 0.5, steps)
    batches = [(subject.images, subject.labels)]

    def evaluate() -> None:
        evaluate_surface(subject.net, batches, subject.directions, axis, axis, precision="fp32")

    return evaluate


def _measured(measurements: Measurements, repeats: int) -> tuple[np.ndarray, np.ndarray]:
    """The sizes, and seconds (repeats, sizes), measured in turns after one that warms up."""
    sizes = sorted(measurements)
    seconds = np.empty((repeats + 1, len(sizes)))
    for repeat in range(repeats + 1):
        for column, size in enumerate(sizes):
            start = time.perf_counter()
            measurements[size]()
            seconds[repeat, column] = time.perf_counter() - start
    return np.array(sizes, dtype=float), seconds[1:]


def _fitted(sizes: np.ndarray, seconds: np.ndarray, *, is_power: bool) -> Fit:
    x, y = (np.log(sizes), np.log(seconds)) if is_power else (sizes, seconds)
    slope, offset = np.polyfit(x, y, 1)
    unexplained = np.square(y - offset - slope * x).sum()
    # A line through two points always fits.
    r_squared = 1 - unexplained / np.square(y - y.mean()).sum() if len(x) > 2 else np.nan
    return Fit(float(slope), float(offset), float(r_squared))


def _sentence(name: str, fit: Fit, *, is_power: bool) -> str:
    law = (
        f"{np.exp(fit.offset):.3g} s times {name} to the power of {fit.slope:.2f}"
        if is_power
        else f"{fit.offset:.3g} s plus {1e3 * fit.slope:.3g} ms for each of the {name}"
    )
    return f"{name}: {law}, r² = {fit.r_squared:.4f}" if np.isfinite(fit.r_squared) else f"{name}: {law}, two sizes"


def _draw(path: Path, name: str, sizes: np.ndarray, seconds: np.ndarray, fit: Fit, *, is_power: bool) -> None:
    figure = Figure(figsize=(3.5, 2.6), layout="constrained")
    ax = figure.subplots()
    for row in seconds:
        ax.plot(sizes, row, ".", color="0.6", markersize=4)
    ax.plot(sizes, np.median(seconds, axis=0), "o", color="C0", label="median")
    line = np.exp(fit.offset) * sizes**fit.slope if is_power else fit.offset + fit.slope * sizes
    law = f"power of {fit.slope:.2f}" if is_power else "line"
    ax.plot(sizes, line, color="C1", label=f"{law}, r² = {fit.r_squared:.4f}" if np.isfinite(fit.r_squared) else law)
    if is_power:
        ax.set(xscale="log", yscale="log")
    else:
        ax.set(xlim=(0, None), ylim=(0, None))
    ax.set(xlabel=name, ylabel="seconds")
    ax.legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=200)


if __name__ == "__main__":
    main()
