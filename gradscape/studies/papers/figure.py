"""A figure of a paper: what it shows, what it takes, and what comes of it; its kinds have files of their own."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gradscape._digest import digest_model
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures import Figure
from gradscape.landscape import Progress
from gradscape.models import Classifier

__all__ = [
    "Drawing",
    "Given",
    "Models",
    "PaperFigure",
    "describe_networks",
    "heatmap_arrays",
    "path_end",
    "provenance_of",
    "readable",
    "short_name",
    "training_command",
]

Models = Mapping[str, Classifier]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A page, and the numbers on it.

    Attributes:
        figure: The page.
        arrays: What it shows, by name.
        said: What its caption has to say besides; may be empty.
        meta: Provenance, which JSON can hold.
        written: Files that were written on the way.
    """

    figure: Figure
    arrays: Mapping[str, np.ndarray]
    said: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    written: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Given:
    """What a person gave for a figure.

    Attributes:
        name: The figure's name, such as `upanets:7`.
        paths: Checkpoints, surfaces or run folders.
        output: The folder of the figure, and of what is evaluated for it.
        images: Image files and folders.
        data: Name of a data set.
        steps: Points on a side of a surface.
        seed: Of everything random.
        device: Where networks run.
        report: Called with what is evaluated and its progress.
        choosing: Which images of the data set: split, limit, classes, root, download, each as far as it was said.
    """

    name: str
    paths: Sequence[Path]
    output: Path
    images: Sequence[Path] = ()
    data: str | None = None
    steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    report: Callable[[str, Progress], None] | None = None
    choosing: Mapping[str, Any] = field(default_factory=dict)

    def refuse(self, *options: str, drawn_from: str) -> None:
        """Refuse options that the figure has no use for.

        Args:
            *options: Any of "images", "data", "steps", "split", "limit" and "classes".
            drawn_from: What the figure is drawn from.

        Raises:
            ValueError: One of them was given.
        """
        given = [
            f"`--{option}`"
            for option in options
            if (self.choosing.get(option) if option in ("split", "limit", "classes") else getattr(self, option))
        ]
        if given:
            verb, them = ("say", "them") if len(given) > 1 else ("says", "it")
            raise ValueError(
                f"{' and '.join(given)} {verb} nothing to {self.name}, drawn from {drawn_from}: leave {them} out"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class PaperFigure(ABC):
    """One figure of a paper.

    Attributes:
        title: What it shows.
        original: What the paper made it of.
    """

    title: str
    original: str

    @property
    @abstractmethod
    def needs(self) -> str:
        """What must be given, in words."""

    @property
    @abstractmethod
    def inputs(self) -> str:
        """The same as arguments of `gradscape figure`."""

    @abstractmethod
    def make(self, given: Given) -> Drawing:
        """Draw it.

        Raises:
            ValueError: Something is missing, too much or does not fit; the message has the command that makes what is
                missing.
            FileNotFoundError: A file or folder is not there; likewise.
        """


def training_command(network: str, options: str) -> str:
    """The command that trains a network into a folder of its name."""
    return f"gradscape train {network} {options} -o runs/{short_name(network)}"


def short_name(name: str) -> str:
    """A model's name without its options."""
    return re.sub(r"@[^+]*", "", name)


def path_end(data: str) -> str:
    """A data set's name; of a path in it only the end."""
    kind, colon, rest = data.partition(":")
    return f"{kind}{colon}{rest.rstrip('/').rpartition('/')[2]}"


def describe_networks(models: Models) -> str:
    """How well each network does on its test images, and what it was trained on, as far as checkpoints tell."""
    data = {title: _training_data(model) for title, model in models.items()}
    said = {title: f"{_full_name(title, model)} {_accuracy(model)}" for title, model in models.items()}
    if len(set(data.values())) > 1:
        listed = (f"{said[title]} (trained on {data[title] or 'unknown data'})" for title in models)
        return f"test accuracy: {', '.join(listed)}"
    trained = next(iter(data.values()))
    return f"{f'trained on {trained}, ' if trained else ''}test accuracy: {', '.join(said.values())}"


def provenance_of(models: Models) -> dict[str, Any]:
    """Which networks, exactly."""
    return {
        title: {
            "name": model.meta["name"],
            "weights": digest_model(model),
            "scores": model.meta.get("scores"),
        }
        for title, model in models.items()
    }


def readable(picture: str) -> str:
    """A picture's name in words: without the file's ending."""
    return re.sub(r"\.\w{2,5}$", "", picture).replace("_", " ")


def heatmap_arrays(heatmaps: Mapping[str, Heatmaps]) -> dict[str, np.ndarray]:
    """Every model's maps, the classes explained and their probabilities, under `TITLE.raw` and so on."""
    names = ("raw", "display", "class_index", "probability")
    return {f"{title}.{name}": getattr(maps, name) for title, maps in heatmaps.items() for name in names}


def _full_name(title: str, model: Classifier) -> str:
    name: str = model.meta["name"]
    return name if short_name(name) == title else f"{title} ({name})"


def _training_data(model: Classifier) -> str:
    """How many images of which data set a network was trained on, as far as its checkpoint tells."""
    data = model.meta.get("data")
    if not isinstance(data, dict) or "name" not in data:
        return ""
    images = f"{data['images']:,} images of " if isinstance(data.get("images"), int) else ""
    return images + path_end(str(data["name"]))


def _accuracy(model: Classifier) -> str:
    scores = model.meta.get("scores")
    accuracy = scores.get("test_accuracy") if isinstance(scores, dict) else None
    return f"{100 * accuracy:.1f} %" if isinstance(accuracy, float) else "not recorded"
