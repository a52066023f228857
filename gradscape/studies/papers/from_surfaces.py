"""Figures that are made of loss surfaces: those that are there, or those of checkpoints, evaluated on the way."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from gradscape.data import load_split
from gradscape.figures.surfaces.pages import figure_comparison, figure_scaled
from gradscape.figures.surfaces.wording import model_name, result_names
from gradscape.landscape import Surface, Value
from gradscape.studies import planes as study
from gradscape.studies.networks import common_image_size, file_name
from gradscape.studies.papers.figure import (
    Drawing,
    Given,
    PaperFigure,
    describe_networks,
    path_end,
    short_name,
    training_command,
)
from gradscape.studies.papers.from_networks import check_checkpoints, load_titled

__all__ = ["SurfaceFigure"]

_FILE = "surface.h5"
_CHECKPOINT = ".safetensors"
_PROVENANCE = (
    *("model", "data", "split", "seed", "normalize", "ignore", "space", "span"),
    *("weights", "directions", "images", "population", "plan", "versions"),
)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceFigure(PaperFigure):
    """A figure of the loss or the error around trained networks.

    Attributes:
        networks: Names of the models, in the order of the panels.
        span: Half-width of the surfaces.
        value: "loss" or "error".
        scale: "raw"; or "minmax", or "minmax-column".
        with_original: Whether the original stands on the left of the scaled surface.
        steps: Points on a side.
        titles: What the paper calls the networks.
        training: Options of `gradscape train` that make them.
        data: Name of the data set.
    """

    networks: tuple[str, ...]
    span: float
    value: Value = "loss"
    scale: Literal["raw", "minmax", "minmax-column"] = "raw"
    with_original: bool = False
    steps: int = 50
    titles: Mapping[str, str] = field(default_factory=dict)
    data: str = "cifar10"
    training: str = "--data cifar10"

    @property
    def needs(self) -> str:
        """What must be given, in words."""
        count = len(self.networks)
        networks = f"{count} network{'s' if count > 1 else ''} such as {', '.join(self.networks)}"
        surfaces = "their surfaces" if count > 1 else "its surface"
        way = f"`gradscape landscape --span {self.span:g} --steps {self.steps}`"
        return f"{networks} and a data set; or {surfaces} by {way}"

    @property
    def inputs(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "CKPT... --data D"

    def make(self, given: Given) -> Drawing:
        """Draw it from .h5 files or run folders; or from checkpoints and data, whose surfaces are evaluated first."""
        given.refuse("images", "classes", drawn_from="surfaces")
        evaluated = [path.suffix == _CHECKPOINT for path in given.paths]
        if any(evaluated) and not all(evaluated):
            raise ValueError(f"{given.name} must be made of checkpoints or of surfaces, got both: leave one kind out")
        if not given.paths:
            raise ValueError(f"{given.name} must be given {self.needs}. {self._way(self.networks[0])}")
        files, about = self._evaluate(given) if evaluated[0] else (self._find(given), "")
        surfaces = [Surface.load(file) for file in files]
        _check_grids(given, surfaces)
        names = _distinct([short_name(name) for name in result_names(surfaces)])
        titles = [self.titles.get(name, name) for name in names]
        if self.with_original:
            assert self.scale != "raw", "what stands beside the original must be scaled"
            figure = figure_scaled(surfaces, value=self.value, scale=self.scale, titles=titles)
        else:
            figure = figure_comparison(surfaces, value=self.value, scale=self.scale, kind="surface", titles=titles)
        return Drawing(
            figure,
            {
                key: array
                for name, surface in zip(names, surfaces, strict=True)
                for key, array in self._arrays(name, surface)
            },
            " · ".join(part for part in (about, self._differences(surfaces)) if part),
            {"surfaces": {name: _provenance(surface) for name, surface in zip(names, surfaces, strict=True)}},
            tuple(files) if evaluated[0] else (),
        )

    def _find(self, given: Given) -> list[Path]:
        """The files of surfaces, in the order of the panels."""
        given.refuse("data", "steps", "split", "limit", drawn_from="surfaces that are there")
        files = [file for path in given.paths for file in self._surfaces_in(path)]
        if len(files) < len(self.networks):
            raise ValueError(
                f"{given.name} must be given {self.needs}; got {len(files)}. {self._way(self.networks[len(files)])}"
            )
        if len(files) > len(self.networks):
            raise ValueError(f"{given.name} must be given {self.needs}; got {len(files)}: leave some out")
        return files

    def _surfaces_in(self, path: Path) -> list[Path]:
        if path.is_file():
            return [path]
        if (path / _FILE).is_file():
            return [path / _FILE]
        files = sorted(path.glob(f"**/{_FILE}"))
        if not files:
            raise FileNotFoundError(f"there is no surface {path}. {self._way(self.networks[0])}")
        models = {file: model_name(Surface.load(file)) for file in files}
        known = [file for network in self.networks for file in files if models[file] == network]
        return known or files

    def _way(self, network: str) -> str:
        """How something missing is made."""
        name = short_name(network)
        return (
            f"Make a network with `{training_command(network, self.training)}` and give it with `--data {self.data}`, "
            f"or its surface with `gradscape landscape runs/{name}/model.safetensors --data {self.data} "
            f"--span {self.span:g} --steps {self.steps} -o runs/{name}_span{self.span:g}`"
        )

    def _evaluate(self, given: Given) -> tuple[list[Path], str]:
        """Evaluate the surfaces, as far as they are not there; also say what networks these are."""
        check_checkpoints(given, self.networks, training=self.training)
        if given.data is None:
            raise ValueError(f"`--data D` must name the images on which the surfaces of {given.name} are evaluated")
        models = load_titled(given.paths, given.device)
        choosing = {"split": "train", "limit": sys.maxsize, **given.choosing}
        split = load_split(
            given.data, choosing.pop("split"), image_size=common_image_size(models), seed=given.seed, **choosing
        )
        axes = study.span_axes(self.span, given.steps or self.steps)
        extent = f"{path_end(given.data)}_{split.split}_span{self.span:g}_steps{len(axes[0])}_seed{given.seed}"
        folder = given.output / "surfaces" / file_name(extent)
        subjects = [
            replace(subject, folder=folder / file_name(subject.title))
            for subject in study.make_subjects(models, split, folder, seeds=[given.seed])
        ]
        study.evaluate_subjects(subjects, split, axes, report=given.report)
        return [subject.folder / _FILE for subject in subjects], describe_networks(models)

    def _arrays(self, name: str, surface: Surface) -> list[tuple[str, np.ndarray]]:
        arrays = [(f"{name}.{key}", np.asarray(getattr(surface, key))) for key in ("alphas", "betas", self.value)]
        if self.value == "loss":
            arrays.append((f"{name}.loss_stderr", np.asarray(surface.loss_stderr)))
        if self.scale != "raw":
            scaled = surface.minmax("column" if self.scale == "minmax-column" else None, value=self.value)
            arrays.append((f"{name}.{self.value}_scaled", scaled))
        return arrays

    def _differences(self, surfaces: Sequence[Surface]) -> str:
        """What is other than in the paper."""
        said = []
        models = [short_name(model_name(surface)) for surface in surfaces]
        said += [
            f"{ours} for {short_name(theirs)}"
            for ours, theirs in zip(models, self.networks, strict=True)
            if ours != short_name(theirs)
        ]
        first = surfaces[0]
        data = {path_end(str(surface.meta.get("data") or "data unknown")) for surface in surfaces}
        said += [f"{', '.join(sorted(data))} for {self.data}"] if data != {self.data} else []
        if not all(
            np.allclose([axis.min(), axis.max()], [-self.span, self.span]) for axis in (first.alphas, first.betas)
        ):
            said.append(f"another range than ±{self.span:g}")
        points = (len(first.alphas), len(first.betas))
        said += (
            [f"{points[0]} × {points[1]} points for {self.steps} × {self.steps}"] if points != (self.steps,) * 2 else []
        )
        if any(surface.count.max(initial=0) < surface.blocks.population for surface in surfaces):
            said.append("not all images of the split (the paper names no number)")
        return f"other than in the paper: {', '.join(said)}" if said else ""


def _check_grids(given: Given, surfaces: Sequence[Surface]) -> None:
    first = surfaces[0]
    for other in surfaces[1:]:
        if not all(np.array_equal(getattr(first, axis), getattr(other, axis)) for axis in ("alphas", "betas")):
            raise ValueError(f"the surfaces of {given.name} must have one grid, to be compared: evaluate them alike")


def _distinct(names: Sequence[str]) -> list[str]:
    return (
        list(names) if len(set(names)) == len(names) else [f"{number}-{name}" for number, name in enumerate(names, 1)]
    )


def _provenance(surface: Surface) -> dict[str, Any]:
    return {key: surface.meta[key] for key in _PROVENANCE if key in surface.meta}
