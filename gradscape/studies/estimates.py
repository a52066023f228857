"""How long a landscape will take, from the start of the program to the last picture."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import Options, Surface
from gradscape.landscape.evaluate import GridEstimate, estimate_grid
from gradscape.landscape.span import SPAN_POINTS
from gradscape.landscape.span_rehearsal import rehearse_search
from gradscape.landscape.statistics import BlockStatistics
from gradscape.studies.planes import Axes, Subject, remembered_search

__all__ = ["Estimate", "Searched", "estimate"]

Draw = Callable[[Sequence[Subject], Sequence[Surface], Path], object]


@final
@dataclass(frozen=True)
class Estimate:
    """What a run will take.

    Attributes:
        points: Grid points of all surfaces, origins included.
        images: Images a point.
        parts: What there is to do, in words -> seconds.
        plan: How the numbers of the last subject are computed.
        limits: What may end the run before, as options name it.
        resumed: Whether a surface is there already, of which nothing is counted off.
    """

    points: int
    images: int
    parts: Mapping[str, float]
    plan: Mapping[str, Any]
    limits: Sequence[str] = ()
    resumed: bool = False

    @property
    def seconds(self) -> float:
        """All together."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{part} {_duration(seconds)}" for part, seconds in self.parts.items() if seconds >= 0.5)
        most = f"; less if {' or '.join(self.limits)} ends it before" if self.limits else ""
        there = "\nwhat the surface.h5 that is there holds already is not counted off" if self.resumed else ""
        plan = ", ".join(f"{name} {value}" for name, value in self.plan.items())
        total = f"{self.points:,} points × {self.images:,} images: about {_duration(self.seconds)} in all{most}"
        return f"{total}\n{parts}{there}\nplan: {plan}"


@final
@dataclass(frozen=True)
class Searched:
    """A search for the span that comes before.

    Attributes:
        split: The images that it looks at.
        memory: Where it is remembered.
    """

    split: NamedBatches
    memory: Path


def estimate(
    subjects: Sequence[Subject],
    split: NamedBatches,
    axes: Axes,
    *,
    searched: Searched | None = None,
    draw: Draw | None = None,
    started: float = 0.0,
    options: Options | None = None,
) -> Estimate:
    """Estimate the time of a whole run; write nothing.

    The plan of each subject is made, and a second of forward passes measured. The search is rehearsed on few images,
    which tells how many widths it will try. The pictures of one subject are drawn, of a bowl.

    Args:
        subjects: What is looked at.
        split: The images.
        axes: (alphas, betas).
        searched: The search for the span; None where there is none.
        draw: Draws the surfaces of subjects into a folder; None where nothing is drawn.
        started: Seconds that the program took to get here.
        options: How; the defaults if left out.
    """
    chosen = options or Options()
    grid = dict(zip(("alphas", "betas"), axes, strict=True))
    found = [estimate_grid(one.model, split, one.directions, axes=grid, options=chosen) for one in subjects]
    parts = {"start": started}
    if searched is not None and remembered_search(subjects, searched.split, searched.memory, options=chosen) is None:
        trials, seconds = _search(subjects, searched.split, found, options=chosen)
        images = searched.split.num_images
        counted = "1 trial" if trials == 1 else f"{trials} trials"
        parts[f"span search ({counted} of {SPAN_POINTS} points × {images} images)"] = seconds
    parts["planning"] = sum(one.planning for one in found)
    parts["evaluating"] = sum(one.seconds for one in found)
    if draw is not None:
        # Several are also drawn side by side, which takes as long as one of them.
        parts["drawing"] = _drawing(subjects[0], axes, draw) * (len(subjects) + (len(subjects) > 1))
    return Estimate(
        (1 + len(axes[0]) * len(axes[1])) * len(subjects),
        split.num_images,
        parts,
        asdict(found[-1].plan),
        [f"--{name}" for name, limit in (("time", chosen.seconds), ("tolerance", chosen.tolerance)) if limit],
        any((one.folder / "surface.h5").exists() for one in subjects),
    )


def _search(
    subjects: Sequence[Subject], split: NamedBatches, found: Sequence[GridEstimate], *, options: Options
) -> tuple[int, float]:
    """How many trials, and how long they take."""
    trials, seconds = 0, 0.0
    for subject, one in zip(subjects, found, strict=True):
        began = time.perf_counter()
        own = rehearse_search([(subject.model, subject.directions)], split, options=options)
        # What the rehearsal takes comes on top, for what each trial has to do before its first point.
        seconds += time.perf_counter() - began + one.planning
        seconds += own * SPAN_POINTS * split.num_images * one.each
        trials += own
    return trials, seconds


def _drawing(subject: Subject, axes: Axes, draw: Draw) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        draw([replace(subject, folder=Path(folder))], [_bowl(subject, axes)], Path(folder))
        return time.perf_counter() - began


def _bowl(subject: Subject, axes: Axes) -> Surface:
    """A surface on the same grid, to be drawn."""
    alphas, betas = (axis / np.abs(axis).max() for axis in axes)
    heights = (0.1 + alphas**2 + 2 * betas[:, None] ** 2)[None]
    ones = np.ones(heights.shape, np.int64)
    blocks = BlockStatistics(
        count=2 * ones, mean=heights, m2=0.1 * ones, right=1.0 * ones, nonfinite=0 * ones, population=100
    )
    middle = blocks.points(len(betas) // 2).points(len(alphas) // 2)
    return Surface(alphas=axes[0], betas=axes[1], blocks=blocks, origin=middle, meta=dict(subject.meta))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
