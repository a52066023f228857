"""A training as a movie: at each network that it kept, the landscape that lies there."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from gradscape import figures
from gradscape._names import telling_parts
from gradscape.data.named_batches import NamedBatches
from gradscape.figures.caption import add_remark
from gradscape.figures.style import short_number
from gradscape.figures.surfaces.animation import movie_endings, save_movie
from gradscape.figures.surfaces.fields import drawn_unit
from gradscape.figures.surfaces.scales import chosen_scale
from gradscape.figures.surfaces.trajectory_wording import FARTHEST
from gradscape.figures.surfaces.wording import describe_field
from gradscape.landscape import Direction, Field, Options, Progress, Surface, Trajectory, pca_directions, project_each
from gradscape.models import Classifier, load_checkpoint
from gradscape.studies.networks import check_classes
from gradscape.studies.planes import Axes, Subject, evaluate_subjects
from gradscape.studies.spanned_planes import component_axes, frame_axes, run_checkpoints

__all__ = ["KeptTraining", "draw_frames", "evaluate_frames", "missing_formats", "open_training"]

_LEAST_NETWORKS = 3
_STILLS = 6  # frames on one page, for paper
_MADE = (
    "each frame is the plane through the network of that time, parallel to the others, and all are on one scale; "
    "cross: the last network's place"
)


@final
@dataclass(frozen=True, eq=False)
class KeptTraining:
    """A training in the plane of its two principal components.

    Attributes:
        run: Its folder.
        name: What pictures call it.
        files: The networks that it kept, in order.
        last: The last of them, at (0, 0).
        directions: The pair that spans the plane.
        path: Where the networks lie.
        seen: For each network, where it and those before it lie in the plane through it.
    """

    run: Path
    name: str
    files: tuple[Path, ...]
    last: Classifier
    directions: tuple[Direction, Direction]
    path: Trajectory
    seen: tuple[Trajectory, ...]

    def axes(self, steps: int) -> Axes:
        """The grid of all frames, with `steps` points on its longer side."""
        return frame_axes([self.path], steps)

    def frame(self, number: int, split: NamedBatches, folder: Path, *, device: str) -> Subject:
        """One network with the plane through it, parallel to that of the last one.

        Args:
            number: Which network.
            split: The images.
            folder: Of all frames.
            device: Where the network is evaluated.
        """
        file, label = self.files[number], self.path.labels[number]
        model = load_checkpoint(file, device=device).to(memory_format=torch.channels_last)
        check_classes({label: model}, split)
        path = replace(self.seen[number], name=self.name, labels=self.path.labels[: number + 1])
        if number == len(self.files) - 1:  # no other plane was made to show its networks
            path = replace(path, shares=self.path.shares, random_walk_shares=self.path.random_walk_shares)
        meta: dict[str, Any] = {
            "model": model.meta["name"],
            "data": split.name,
            "split": split.split,
            "checkpoint": str(file),
            "direction_file": f"pca:{self.name}",
            "direction_path": f"pca:{self.run}",
            "frame": {"number": number, "frames": len(self.files)},
            "axes": component_axes([self.path]),
            "trajectories": [dict(path.to_entry())],
        }
        return Subject(label, model, self.directions, folder / "frames" / file.stem, meta)


def open_training(run: Path, *, device: str) -> KeptTraining:
    """Find the networks that a training kept, and the plane that shows them best.

    Args:
        run: Its folder, or any folder of checkpoints in natural order.
        device: Where networks are evaluated.

    Raises:
        FileNotFoundError: There is no such run, or it kept nothing.
        ValueError: It kept too few networks for a plane.
    """
    files = run_checkpoints(run)
    if len(files) < _LEAST_NETWORKS:
        raise ValueError(f"`RUN` must hold at least {_LEAST_NETWORKS} networks for a plane, {run} has {len(files)}")
    last = load_checkpoint(files[-1], device=device)
    directions, path = pca_directions(last, files)
    (name,) = telling_parts([run.absolute()])
    return KeptTraining(run, name, tuple(files), last, directions, path, tuple(project_each(files, last, directions)))


def evaluate_frames(
    training: KeptTraining,
    split: NamedBatches,
    axes: Axes,
    folder: Path,
    *,
    until: float | None = None,
    report: Callable[[str, Progress], None] | None = None,
    options: Options | None = None,
) -> list[Surface]:
    """Evaluate the landscape at every network, on the same part of the plane, into `frames/NETWORK/surface.h5`.

    A frame lies in the plane through its own network, parallel to that of the others: its origin is that network, and
    what the plane does not show, running statistics among it, is that network's own. The coordinates of its file count
    from there.

    Args:
        training: The networks and their plane.
        split: The images.
        axes: Of the last network's plane.
        folder: Where to.
        until: Moment on the monotonic clock at which to stop, s; the frames share the time left.
        report: Called with the frame's title and its progress.
        options: How, as far as the arguments above do not say it; the defaults if left out.
    """
    device = str(next(training.last.parameters()).device)
    surfaces = []
    for number in range(len(training.files)):
        subject = training.frame(number, split, folder, device=device)
        left = len(training.files) - number
        moment = None if until is None else time.monotonic() + (until - time.monotonic()) / left
        there = axes[0] - training.path.alphas[number], axes[1] - training.path.betas[number]
        surfaces += evaluate_subjects([subject], split, there, until=moment, report=report, options=options)
    return surfaces


def draw_frames(training: KeptTraining, surfaces: Sequence[Surface], axes: Axes, folder: Path) -> list[Path]:
    """A movie and a page with a slider, all frames on one scale.

    Args:
        training: The networks.
        surfaces: What `evaluate_frames` gave.
        axes: Of all frames.
        folder: Where to.

    Returns:
        What was written.
    """
    moved = _together(surfaces, training.path, axes)
    fields = [surface.field("loss") for surface in moved]
    titles = [_title(label, field) for label, field in zip(training.path.labels, fields, strict=True)]
    scale = chosen_scale(fields, "auto")
    caption = f"{describe_field(fields[-1])} · {_MADE}"
    written = save_movie(fields, folder / "animation", titles=titles, scale=scale, caption=caption)
    shown = sorted({round(place) for place in np.linspace(0, len(fields) - 1, _STILLS)})
    stills = [fields[number] for number in shown]
    labels = [training.path.labels[number] for number in shown]
    page = figures.figure_comparison(stills, titles=labels, scale=scale)
    add_remark(page, _MADE)
    written += figures.save_figure(page, folder / "frames")
    figures.interactive_animation(moved, titles=titles, title=training.name).save(folder / "animation.html")
    return [*written, folder / "animation.html"]


def missing_formats() -> str:
    """What is said where a movie is not written in every format."""
    return "" if "mp4" in movie_endings() else "no mp4: the program ffmpeg is not found; the gif is the same movie"


def _together(surfaces: Sequence[Surface], path: Trajectory, axes: Axes) -> list[Surface]:
    """Frames in the coordinates that all of them share, with circles on one scale."""
    entries = [surface.meta["trajectories"][0] for surface in surfaces]
    most = max(max(entry["distance"]) for entry in entries)
    moved = []
    for number, (surface, entry) in enumerate(zip(surfaces, entries, strict=True)):
        places = {
            name: [place + float(getattr(path, name)[number]) for place in entry[name]] for name in ("alphas", "betas")
        }
        meta = {**surface.meta, "trajectories": [{**entry, **places}], FARTHEST: most}
        moved.append(replace(surface, alphas=axes[0], betas=axes[1], meta=meta))
    return moved


def _title(label: str, field: Field) -> str:
    said = []
    for reading in field.origin:
        factor, unit = drawn_unit(reading.unit)
        said.append(f"{reading.name} {short_number(factor * reading.value)}" + (f" {unit}" if unit else ""))
    return f"{label}: {', '.join(said)}" if said else label
