"""Planes by what spans them: a training, three networks, eigenvectors of the Hessian; and the networks seen in them."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import torch

from gradscape._names import one_line, telling_parts
from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import (
    Direction,
    Options,
    Trajectory,
    hessian_spectrum,
    load_directions,
    pca_directions,
    plane_directions,
    project,
)
from gradscape.models import Classifier, load_checkpoint
from gradscape.training import kept_checkpoints
from gradscape.training.run_files import LAST, STATE

__all__ = ["SpannedPlane", "component_axes", "frame_axes", "placed_runs", "run_checkpoints", "span_planes"]

_NETWORKS = (".safetensors", ".pt", ".pth", ".th", ".t7", ".pkl", ".ckpt")
_LEAST_POINTS = 5  # of the shorter side of a grid
_MOST_UNEVEN = 1.4  # times the shorter side that the longer one of a grid may be
_DIGITS = 9  # of coordinates, so that 0 is 0
_KINDS = "a direction file, pca:RUN, plane:SECOND,THIRD or hessian"


@final
@dataclass(frozen=True, eq=False)
class SpannedPlane:
    """A plane through a network.

    Attributes:
        directions: The pair that spans it.
        trajectories: Networks that are seen in it.
        meta: What its provenance says: where the directions come from, what the axes are.
    """

    directions: Sequence[Direction]
    trajectories: tuple[Trajectory, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def entries(self) -> dict[str, Any]:
        """The provenance with the trajectories."""
        placed = [dict(one.to_entry()) for one in self.trajectories]
        return {**self.meta, **({"trajectories": placed} if placed else {})}


def run_checkpoints(run: Path) -> list[Path]:
    """The networks of a training in their order: those that it kept, or those of a folder by their numbers.

    Args:
        run: The folder of a training with `--keep-every`, or any folder of checkpoints; of a file that file alone.

    Raises:
        FileNotFoundError: There is nothing of this name, no checkpoint in it, or the folder is that of a training which
            kept none: its last and best network are no way.
    """
    if not run.exists():
        raise FileNotFoundError(f"there is no run {run}")
    if not run.is_dir():
        return [run]
    found = [path for path in run.iterdir() if path.suffix in _NETWORKS and not path.name.startswith(".")]
    if (run / "kept").is_dir() or {LAST, STATE} <= {path.name for path in found} or not found:
        return kept_checkpoints(run)
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else part for part in _parts(path.name)])


def span_planes(
    asked: str,
    models: Mapping[str, Classifier],
    split: NamedBatches,
    *,
    space: str | None = None,
    parameters: str = "*",
    options: Options | None = None,
) -> dict[str, SpannedPlane]:
    """The plane through each network that a text names.

    Args:
        asked: "pca:RUN" or "pca:RUN,RUN" (the principal components of trainings: folders, or the checkpoints of one),
            "plane:SECOND,THIRD" (through two more networks), "hessian" (eigenvectors of the two largest eigenvalues),
            or the path of a direction file.
        models: By the name that pictures take; one alone for what leads through other networks.
        split: The images whose loss the Hessian is of.
        space: Whether running statistics go along; by default as the function that makes the directions has it.
        parameters: Names of what an eigenvector moves.
        options: Give the loss of the Hessian.

    Returns:
        By the models' names.

    Raises:
        FileNotFoundError: There is no such file or run.
        ValueError: The text is none of these, networks do not fit each other, or several are given where one must be.
    """
    kind, _, rest = asked.partition(":")
    if kind in ("pca", "plane") and rest and not Path(asked).exists():
        if len(models) > 1:
            raise ValueError(f"`--directions {kind}:…` is a plane through one network: give one checkpoint")
        ((name, model),) = models.items()
        kept = {} if space is None else {"space": space}
        make = _principal_plane if kind == "pca" else _plane_of_three
        with _called(f"--directions {kind}:…"):
            return {name: make(model, rest.split(","), kept)}
    if asked == "hessian" and not Path(asked).exists():
        return {name: _eigenplane(model, split, parameters, options) for name, model in models.items()}
    if not Path(asked).exists():
        raise FileNotFoundError(f"there is no direction file {asked}: `--directions` takes {_KINDS}")
    meta = {"direction_file": Path(asked).name, "direction_path": asked}
    return {name: SpannedPlane(load_directions(asked, model), meta=meta) for name, model in models.items()}


def placed_runs(plane: SpannedPlane, model: Classifier, runs: Sequence[Path]) -> SpannedPlane:
    """The plane with the networks of more trainings in it, each once: those that it is made of are there already.

    Args:
        plane: The plane.
        model: The network that it leads through.
        runs: Trainings, as `run_checkpoints` takes them.

    Raises:
        FileNotFoundError: There is no such run, or it has no checkpoints.
        ValueError: They do not fit the model.
    """
    with _called("--trajectory"):
        more = [
            _named(project(run_checkpoints(run), model, plane.directions), name)
            for run, name in zip(runs, _run_names(runs), strict=True)
        ]
    new = [one for one in more if not any(_same_path(one, other) for other in plane.trajectories)]
    return SpannedPlane(plane.directions, (*plane.trajectories, *new), plane.meta)


def frame_axes(trajectories: Sequence[Trajectory], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The grid around networks, and around the one that the plane leads through, with a margin.

    The shorter side is at least 0.7 times as long as the longer one, and has as many fewer points.

    Args:
        trajectories: The networks.
        steps: Points on the longer side.

    Returns:
        (alphas, betas).
    """
    first, *others = trajectories
    ranges = [(min(low, 0.0), max(high, 0.0)) for low, high in first.frame(*others)]
    longest = max(high - low for low, high in ranges)
    axes = []
    for low, high in ranges:
        length = max(high - low, longest / _MOST_UNEVEN)
        middle = (low + high) / 2
        points = max(_LEAST_POINTS, round((steps - 1) * length / longest) + 1)
        axis = np.linspace(middle - length / 2, middle + length / 2, min(points, steps))
        axes.append(longest * np.round(axis / longest, _DIGITS))
    return axes[0], axes[1]


def component_axes(trajectories: Sequence[Trajectory]) -> list[str]:
    """What the principal components explain, beside those of a random walk; of several runs captions say it of each."""
    if len(trajectories) > 1 or np.isnan(trajectories[0].shares).any():
        return ["PC 1", "PC 2"]
    (path,) = trajectories
    said = []
    for number, (own, walk) in enumerate(zip(path.shares, path.random_walk_shares, strict=True), 1):
        beside = "" if math.isnan(walk) else f"; random walk {100 * walk:.0f} %"
        said.append(f"PC {number} ({100 * own:.0f} % of the path{beside})")
    return said


@contextmanager
def _called(option: str) -> Iterator[None]:
    """Networks that do not fit are told by the option that names them: `checkpoints` are others for a command."""
    try:
        yield
    except ValueError as problem:
        raise ValueError(str(problem).replace("`checkpoints`", f"`{option}`")) from problem


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)


def _principal_plane(model: Classifier, texts: Sequence[str], kept: Mapping[str, Any]) -> SpannedPlane:
    paths = [Path(text) for text in texts]
    if all(path.is_file() for path in paths):  # the checkpoints of one training
        directions, path = pca_directions(model, paths, **kept)
        return SpannedPlane(directions, (path,), _origin("pca", [path.name], texts, component_axes([path])))
    names = _run_names(paths)
    runs = {name: run_checkpoints(path) for name, path in zip(names, paths, strict=True)}
    directions, found = pca_directions(model, runs, **kept)
    placed = [found[name] for name in names]
    return SpannedPlane(directions, tuple(placed), _origin("pca", names, texts, component_axes(placed)))


def _plane_of_three(model: Classifier, texts: Sequence[str], kept: Mapping[str, Any]) -> SpannedPlane:
    if len(texts) != 2:
        raise ValueError(f"`--directions plane:SECOND,THIRD` takes two checkpoints besides the first, got {len(texts)}")
    second, third = (load_checkpoint(text, device=_device(model)) for text in texts)
    directions, points = plane_directions(model, second, third, **kept)
    _, right, upper = (one_line(label) for label in points.labels)
    axes = (f"toward {right} (at 1)", f"toward {upper} (upright on it)")
    return SpannedPlane(directions, (points,), _origin("plane", points.labels[1:], texts, axes))


def _eigenplane(model: Classifier, split: NamedBatches, parameters: str, options: Options | None) -> SpannedPlane:
    chosen = options or Options()
    spectrum = hessian_spectrum(
        model,
        split,
        top=2,
        bottom=0,
        parameters=parameters,
        loss=chosen.loss,
        forward=chosen.forward,
        held_out=False,
    )
    axes = [
        f"eigenvector {number} (λ {'=' if converged else '≈'} {value:.4g})"
        for number, (value, converged) in enumerate(zip(spectrum.values, spectrum.converged, strict=True), 1)
    ]
    meta = {"direction_file": "eigenvectors of the Hessian", "direction_path": "hessian", "axes": axes}
    return SpannedPlane(spectrum.directions[:2], meta=meta)


def _origin(kind: str, names: Sequence[str], texts: Sequence[str], axes: Sequence[str]) -> dict[str, Any]:
    return {
        "direction_file": f"{kind}:{','.join(names)}",
        "direction_path": f"{kind}:{','.join(texts)}",
        "axes": list(axes),
    }


def _run_names(runs: Sequence[Path]) -> list[str]:
    return [one_line(name) for name in telling_parts([run.absolute() for run in runs])]


def _same_path(one: Trajectory, other: Trajectory) -> bool:
    if one.labels != other.labels:
        return False
    places, others = (np.stack([path.alphas, path.betas, path.distance]) for path in (one, other))
    return np.allclose(places, others, rtol=1e-6, atol=1e-6 * float(np.abs(places).max()))


def _named(trajectory: Trajectory, name: str) -> Trajectory:
    return Trajectory.from_entry({**trajectory.to_entry(), "name": name})


def _device(model: Classifier) -> str:
    return str(next(model.parameters(), torch.zeros(())).device)
