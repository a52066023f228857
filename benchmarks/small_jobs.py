"""Measure what small surfaces cost beside their forward passes: checks, tracing, trials, one version beside another.

Run it from anywhere: `python benchmarks/small_jobs.py [--trees OLD NEW] [--help]`. Every surface is evaluated in a
process of its own, as by a command, so that what is loaded for tracing counts; versions take turns. Overhead is the
time of `evaluate_surface` over points × images × the time of a bare forward pass (`bare_forward.py`), measured behind
it in the same process. Seconds are those of the processor, with one thread: what else the machine does hardly changes
them. Freed memory is kept, as gradscape's program does.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bare_forward import bare_forward
from subject import IMAGE_SIZE, load_subject

from gradscape._allocator import keep_freed_memory
from gradscape.landscape import evaluate_surface
from gradscape.landscape.engine.run import Run

BARE_REPEATS = 3


@dataclass(frozen=True)
class Job:
    """A small surface.

    Attributes:
        net: The network's name.
        steps: Points on a side.
        images: How many a point sees.
        image_size: Pixels on a side.
    """

    net: str
    steps: int
    images: int
    image_size: int = IMAGE_SIZE

    def __str__(self) -> str:
        return f"{self.net}, {self.steps}×{self.steps} points, {self.images} images of {self.image_size} pixels"


JOBS = (
    Job("mobilenet_v1@width=0.25", 11, 64),
    Job("resnet20_projection", 5, 32),
    Job("resnet20_projection", 11, 64),
    Job("resnet20_projection", 5, 512),
    Job("resnet56_projection", 5, 32),
    Job("resnet56_projection", 11, 64),
    Job("resnet50", 5, 32, 224),
)


@dataclass(frozen=True)
class Measured:
    """What one run took.

    Attributes:
        seconds: All of it.
        planning: Until the first point: checks, tracing, trials.
        bare: A bare forward pass over all images, times the points, the origin included.
        traced: Whether the graph was evaluated.
    """

    seconds: float
    planning: float
    bare: float
    traced: bool


def main() -> None:
    """Measure and print, or be the process that measures one job."""
    parser = argparse.ArgumentParser(description="Measure what small surfaces cost beside their forward passes.")
    parser.add_argument("--trees", nargs="+", type=Path, default=[Path(__file__).parents[1]], help="source trees")
    parser.add_argument("--jobs", nargs="+", type=int, default=list(range(len(JOBS))), help="which, by number")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(asdict(_measure(JOBS[arguments.child]))))
        return
    print("| surface | tree | seconds | planning | share | traced | overhead |\n|---|---|---|---|---|---|---|")
    for number in arguments.jobs:
        turns = [[_in_a_process(number, tree) for tree in arguments.trees] for _ in range(arguments.repeats)]
        for tree, runs in zip(arguments.trees, zip(*turns, strict=True), strict=True):
            print(f"| {JOBS[number]} | {tree.name} | {_row(runs)} |", flush=True)


def _row(runs: tuple[Measured, ...]) -> str:
    seconds, planning = (np.median([getattr(run, name) for run in runs]) for name in ("seconds", "planning"))
    share = np.median([run.planning / run.seconds for run in runs])
    overhead = np.median([run.seconds / run.bare for run in runs])
    traced = sum(run.traced for run in runs)
    return f"{seconds:.2f} | {planning:.2f} | {share:.0%} | {traced} of {len(runs)} | {overhead:.2f}"


def _in_a_process(number: int, tree: Path) -> Measured:
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--child", str(number)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _measure(job: Job) -> Measured:
    torch.set_num_threads(1)
    keep_freed_memory()
    subject = load_subject(job.net, job.images, image_size=job.image_size)
    given = subject.net, subject.images, subject.labels, subject.directions
    evaluating: list[float] = []
    evaluate = Run.evaluate

    def watched(self: Run[Any], *args: Any, **kwargs: Any) -> None:
        evaluating.append(_seconds(lambda: evaluate(self, *args, **kwargs)))

    Run.evaluate = watched  # type: ignore[method-assign]
    axis, found = np.linspace(-0.5, 0.5, job.steps), []

    def whole() -> None:
        batches = [(subject.images, subject.labels)]
        found.append(evaluate_surface(subject.net, batches, subject.directions, axis, axis, precision="fp32"))

    seconds = _seconds(whole)
    _, place = bare_forward(*given, precision="fp32")
    bare = min(_seconds(place((0.0, 0.0))) for _ in range(BARE_REPEATS))
    traced = found[0].meta["plan"]["traced"]
    return Measured(seconds, seconds - evaluating[0], bare * (1 + job.steps**2), traced)


def _seconds(function: Callable[[], object]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


if __name__ == "__main__":
    main()
