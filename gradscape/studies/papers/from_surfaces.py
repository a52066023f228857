"""Figures that are made of loss surfaces: those that are there, or those of checkpoints, evaluated on the way."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._names import tell_apart, telling_parts
from gradscape.data import load_split
from gradscape.figures import Figure
from gradscape.figures.look import ANY_PICTURE, current_look, drawn_as
from gradscape.figures.surfaces.pages import figure_comparison, figure_scaled
from gradscape.figures.surfaces.wording import model_name, result_names
from gradscape.landscape import Progress, Surface, Value
from gradscape.studies import planes
from gradscape.studies.networks import common_image_size, file_name
from gradscape.studies.papers.checkpoints import WantedNetworks, describe_networks, load_titled
from gradscape.studies.papers.data_source import DataSource
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.scaling import Scaling, describe_scaling, find_scaling
from gradscape.studies.papers.wording import path_end, short_name, training_command

__all__ = ["EvaluatedInputs", "SurfaceFigure", "SurfaceInputs"]

_FILE = "surface.h5"
_PROVENANCE = (
    *("model", "data", "split", "seed", "normalize", "ignore", "space", "span"),
    *("weights", "directions", "images", "population", "plan", "versions"),
)


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceInputs:
    """Surfaces that are there.

    Attributes:
        name: The figure's name.
        paths: Files, and folders in which they are looked for.
    """

    name: str
    paths: Sequence[Path]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class EvaluatedInputs:
    """Networks whose surfaces are evaluated first.

    Attributes:
        name: The figure's name.
        checkpoints: As many as it takes, all of them there.
        data: On which images; all of train where nothing is said.
        output: The folder in which surfaces are kept.
        steps: Points on a side; None for the paper's.
        seed: Of the directions and of the choice of images.
        device: Where the networks run.
        report: Called with what is evaluated and its progress.
    """

    name: str
    checkpoints: Sequence[Path]
    data: DataSource
    output: Path
    steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    report: Callable[[str, Progress], None] | None = None


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceFigure(PaperFigure):
    """A figure of the loss or the error around trained networks.

    Attributes:
        networks: Names of the models, in the order of the panels.
        span: Half-width of the surfaces.
        value: "loss" or "error".
        scale: How the surfaces are scaled.
        asked: How they are scaled instead, if someone wants it so.
        with_original: Whether the original stands on the left of the scaled surface, unless it is alone to be drawn.
        steps: Points on a side.
        titles: What the paper calls the networks.
        training: Options of `gradscape train` that make them.
        data: Name of the data set.
    """

    networks: tuple[str, ...]
    span: float
    value: Value = "loss"
    scale: Scaling = "raw"
    asked: Scaling | None = None
    with_original: bool = False
    steps: int = 50
    titles: Mapping[str, str] = field(default_factory=dict)
    data: str = "cifar10"
    training: str = "--data cifar10"

    @property
    def choices(self) -> frozenset[str]:
        """What of a `Look` changes something of it."""
        limits = {"zmin", "zmax"} if self.drawn_scale == "raw" or self.with_original else set()
        return ANY_PICTURE | {"cmap", "camera"} | limits

    @property
    def drawn_scale(self) -> Scaling:
        """How its surfaces are scaled here."""
        return self.asked or self.scale

    @property
    def wanted(self) -> WantedNetworks:
        """The networks around which it looks."""
        return WantedNetworks(self.networks, self.training)

    @property
    def needs(self) -> str:
        """What must be given, in words."""
        surfaces = "their surfaces" if len(self.networks) > 1 else "its surface"
        way = f"`gradscape landscape --span {self.span:g} --steps {self.steps}`"
        return f"{self.wanted} and a data set; or {surfaces} by {way}"

    @property
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "CKPT... --data D"

    def scaled_as(self, scale: str) -> "SurfaceFigure":
        """The figure on a scale that is asked for.

        Raises:
            ValueError: There is no such scale.
        """
        return replace(self, asked=find_scaling(scale))

    def make(self, inputs: SurfaceInputs | EvaluatedInputs) -> Drawing:
        """Draw it, of surfaces that are there or are evaluated first.

        Raises:
            ValueError: There are too few surfaces, too many, or of several grids.
            FileNotFoundError: A surface or the data are not there.
        """
        if isinstance(inputs, EvaluatedInputs):
            files, about = self._evaluate(inputs)
        else:
            files, about = self._find(inputs), ""
        surfaces = [Surface.load(file) for file in files]
        _check_grids(inputs.name, surfaces)
        known = [short_name(name) for name in result_names(surfaces)]
        own = telling_parts([file.absolute().with_suffix("") for file in files])
        names = tell_apart([known, [f"{name} ({part})" for name, part in zip(known, own, strict=True)]])
        titles = [self.titles.get(name, name) for name in names]
        with drawn_as(replace(current_look(), limited=self.value)):
            figure = self._draw(surfaces, titles)
        return Drawing(
            figure,
            {
                key: array
                for name, surface in zip(names, surfaces, strict=True)
                for key, array in self._arrays(name, surface).items()
            },
            " · ".join(part for part in (self._scaling, about, self._differences(surfaces)) if part),
            {"surfaces": {name: _provenance(surface) for name, surface in zip(names, surfaces, strict=True)}},
            tuple(files) if isinstance(inputs, EvaluatedInputs) else (),
        )

    @property
    def _scaling(self) -> str:
        return describe_scaling(self.drawn_scale, beside=self.with_original, printed=self.scale)

    def _draw(self, surfaces: Sequence[Surface], titles: Sequence[str]) -> Figure:
        scale = self.drawn_scale
        if self.with_original and scale != "raw":
            return figure_scaled(surfaces, value=self.value, scale=scale, titles=titles)
        return figure_comparison(surfaces, value=self.value, scale=scale, kind="surface", titles=titles)

    def _find(self, inputs: SurfaceInputs) -> list[Path]:
        """The files of surfaces, in the order of the panels."""
        files = [file for path in inputs.paths for file in self._surfaces_in(path)]
        count = len(files)
        if count < len(self.networks):
            got = f"; got {count}" if inputs.paths else ""
            raise ValueError(f"{inputs.name} must be given {self.needs}{got}. {self._way(self.networks[count])}")
        if count > len(self.networks):
            raise ValueError(f"{inputs.name} must be given {self.needs}; got {count}: leave some out")
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

    def _evaluate(self, inputs: EvaluatedInputs) -> tuple[list[Path], str]:
        """Evaluate the surfaces, as far as they are not there; also say what networks these are."""
        models, data = load_titled(inputs.checkpoints, inputs.device), inputs.data
        split = load_split(
            data.name,
            data.split or "train",
            limit=data.limit or sys.maxsize,
            image_size=common_image_size(models),
            seed=inputs.seed,
            root=data.root,
            download=data.download,
        )
        axes = planes.span_axes(self.span, inputs.steps or self.steps)
        extent = f"{path_end(data.name)}_{split.split}_span{self.span:g}_steps{len(axes[0])}_seed{inputs.seed}"
        folder = inputs.output / "surfaces" / file_name(extent)
        subjects = [
            replace(subject, folder=folder / file_name(subject.title))
            for subject in planes.make_subjects(models, split, folder, seeds=[inputs.seed])
        ]
        planes.evaluate_subjects(subjects, split, axes, report=inputs.report)
        return [subject.folder / _FILE for subject in subjects], describe_networks(models)

    def _arrays(self, name: str, surface: Surface) -> dict[str, np.ndarray]:
        values = surface.error if self.value == "error" else surface.loss
        arrays = {"alphas": surface.alphas, "betas": surface.betas, self.value: values}
        if self.value == "loss":
            arrays["loss_stderr"] = surface.loss_stderr
        if self.drawn_scale != "raw":
            by_column = self.drawn_scale == "minmax-column"
            arrays[f"{self.value}_scaled"] = surface.minmax("column" if by_column else None, value=self.value)
        return {f"{name}.{key}": np.asarray(array) for key, array in arrays.items()}

    def _differences(self, surfaces: Sequence[Surface]) -> str:
        """What is other than in the paper."""
        first, said = surfaces[0], []
        for surface, network in zip(surfaces, self.networks, strict=True):
            ours, theirs = short_name(model_name(surface)), short_name(network)
            said += [f"{ours} for {theirs}"] if ours != theirs else []
        data = {path_end(str(surface.meta.get("data") or "data unknown")) for surface in surfaces}
        if data != {self.data}:
            said.append(f"{', '.join(sorted(data))} for {self.data}")
        ends = [(axis.min(), axis.max()) for axis in (first.alphas, first.betas)]
        if not np.allclose(ends, (-self.span, self.span)):
            said.append(f"another range than ±{self.span:g}")
        points = (len(first.alphas), len(first.betas))
        if points != (self.steps, self.steps):
            said.append(f"{points[0]} × {points[1]} points for {self.steps} × {self.steps}")
        if any(surface.count.max(initial=0) < surface.blocks.population for surface in surfaces):
            said.append("not all images of the split (the paper names no number)")
        return f"other than in the paper: {', '.join(said)}" if said else ""


def _check_grids(name: str, surfaces: Sequence[Surface]) -> None:
    first = surfaces[0]
    for other in surfaces[1:]:
        if not (np.array_equal(first.alphas, other.alphas) and np.array_equal(first.betas, other.betas)):
            raise ValueError(f"the surfaces of {name} must have one grid, to be compared: evaluate them alike")


def _provenance(surface: Surface) -> dict[str, Any]:
    return {key: surface.meta[key] for key in _PROVENANCE if key in surface.meta}
