"""What a person asks a figure to be drawn from, turned into what its kind takes; the rest is refused here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

from gradscape.landscape import Progress
from gradscape.studies.papers.data_source import DataSource
from gradscape.studies.papers.exhibits import DataExhibit, ImageInputs, NoiseExhibit, PictureExhibit
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.from_networks import NetworkFigure, NetworkInputs
from gradscape.studies.papers.from_surfaces import EvaluatedInputs, SurfaceFigure, SurfaceInputs
from gradscape.studies.papers.from_tables import TableFigure
from gradscape.studies.papers.from_trainings import TrainingFigure

__all__ = ["Request", "draw_requested"]

_CHECKPOINT = ".safetensors"

Option = Literal["images", "data", "steps", "split", "limit", "classes", "scale"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """All that can be said of any figure.

    Attributes:
        name: The figure's name, such as `upanets:7`.
        paths: Checkpoints, surfaces or run folders.
        output: The folder of the figure, and of what is evaluated for it.
        images: Image files and folders.
        data: Name of a data set.
        steps: Points on a side of a surface.
        split: Of the data set: "train" or "test".
        limit: How many of its images.
        classes: The only ones to take of it.
        scale: How a landscape is scaled.
        root: Folder of the data sets.
        download: Whether a published data set may be fetched.
        seed: Of everything random.
        device: Where networks run.
        report: Called with what is evaluated and its progress.
    """

    name: str
    paths: Sequence[Path]
    output: Path
    images: Sequence[Path] = ()
    data: str | None = None
    steps: int | None = None
    split: str | None = None
    limit: int | None = None
    classes: str | None = None
    scale: str | None = None
    root: Path | None = None
    download: bool = False
    seed: int = 0
    device: str = "cpu"
    report: Callable[[str, Progress], None] | None = None

    @property
    def source(self) -> DataSource | None:
        """The data set, if one was named."""
        if self.data is None:
            return None
        return DataSource(name=self.data, split=self.split, limit=self.limit, root=self.root, download=self.download)

    def refuse_all_but(self, *taken: Option, drawn_from: str) -> None:
        """Refuse options that the figure has no use for.

        Args:
            *taken: Those that it has a use for.
            drawn_from: What the figure is drawn from.

        Raises:
            ValueError: Another one was given.
        """
        options: dict[Option, bool] = {
            "images": bool(self.images),
            "data": bool(self.data),
            "steps": bool(self.steps),
            "split": bool(self.split),
            "limit": bool(self.limit),
            "classes": bool(self.classes),
            "scale": bool(self.scale),
        }
        given = [f"`--{option}`" for option, is_given in options.items() if is_given and option not in taken]
        if given:
            verb, them = ("say", "them") if len(given) > 1 else ("says", "it")
            raise ValueError(
                f"{' and '.join(given)} {verb} nothing to {self.name}, drawn from {drawn_from}: leave {them} out"
            )


def draw_requested(figure: PaperFigure, request: Request) -> Drawing:
    """Draw a figure from what a person gave.

    Raises:
        ValueError: Something is missing, too much or does not fit; the message has the command that makes what is
            missing.
        FileNotFoundError: A file or folder is not there; likewise.
        TypeError: The figure is of a kind that nothing can be given to.
    """
    match figure:
        case NetworkFigure():
            return figure.make(_network_inputs(figure, request))
        case SurfaceFigure():
            return figure.make(_surface_inputs(figure, request))
        case TrainingFigure():
            request.refuse_all_but(drawn_from="training logs")
            return figure.make(request.name, request.paths)
        case TableFigure():
            request.refuse_all_but(drawn_from="a published table")
            return figure.make(request.name, request.paths)
    raise TypeError(f"`figure` must be of a kind that takes something, got {type(figure).__name__}")


def _network_inputs(figure: NetworkFigure[Any], request: Request) -> NetworkInputs:
    name, files, source = request.name, request.images, request.source
    figure.wanted.check(name, request.paths)
    match figure.exhibit:
        case PictureExhibit():
            if bool(files) == (source is not None):
                raise ValueError(f"`--images PATH...` or `--data D` must say what {name} shows: give one of them")
        case DataExhibit():
            if files or source is None:
                raise ValueError(
                    f"`--data D` must name the data set that {name} shows many images of, and no `--images`"
                )
        case exhibit if files or source is not None:
            shown = "noise" if isinstance(exhibit, NoiseExhibit) else "weights"
            raise ValueError(f"{name} shows {shown} and takes neither `--images` nor `--data`: leave them out")
    request.refuse_all_but("images", "data", "split", "limit", "classes", drawn_from="networks")
    if source is None and (request.limit or request.classes):
        raise ValueError("`--limit` and `--classes` choose images of `--data`: name the data set, or leave them out")
    return NetworkInputs(
        name=name,
        checkpoints=request.paths,
        images=ImageInputs(files=files, data=source, classes=request.classes),
        seed=request.seed,
        device=request.device,
    )


def _surface_inputs(figure: SurfaceFigure, request: Request) -> SurfaceInputs | EvaluatedInputs:
    name, paths, source = request.name, request.paths, request.source
    request.refuse_all_but("data", "steps", "split", "limit", "scale", drawn_from="surfaces")
    are_checkpoints = [path.suffix == _CHECKPOINT for path in paths]
    if not any(are_checkpoints):
        # Of nothing at all the figure says how to make it.
        if paths:
            request.refuse_all_but("scale", drawn_from="surfaces that are there")
        return SurfaceInputs(name=name, paths=paths)
    if not all(are_checkpoints):
        raise ValueError(f"{name} must be made of checkpoints or of surfaces, got both: leave one kind out")
    figure.wanted.check(name, paths)
    if source is None:
        raise ValueError(f"`--data D` must name the images on which the surfaces of {name} are evaluated")
    return EvaluatedInputs(
        name=name,
        checkpoints=paths,
        data=source,
        output=request.output,
        steps=request.steps,
        seed=request.seed,
        device=request.device,
        report=request.report,
    )
