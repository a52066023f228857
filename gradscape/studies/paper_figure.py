"""A figure of a paper: what it shows, what it takes, and how it is drawn from networks of ours."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure
from torch import nn

from gradscape.explain.heatmap import Heatmaps
from gradscape.models import Classifier

__all__ = [
    "Drawing",
    "PaperFigure",
    "Takes",
    "describe_networks",
    "heatmap_arrays",
    "path_end",
    "readable",
    "short_name",
]

Takes = Literal["pictures", "data", "noise", "weights"]
Models = Mapping[str, Classifier]


@dataclass(frozen=True, eq=False)
class Drawing:
    """A page, and the numbers on it.

    Attributes:
        figure: The page.
        arrays: What it shows, by name.
        said: What its caption has to say besides; may be empty.
    """

    figure: Figure
    arrays: dict[str, np.ndarray]
    said: str = ""


@dataclass(frozen=True, eq=False)
class PaperFigure:
    """One figure of a paper.

    Attributes:
        title: What it shows.
        original: What the paper made it of.
        networks: Names of models that make it, as `create_model` takes them, in the order of the checkpoints.
        takes: What the networks are shown: "pictures", "data" (images with labels), "noise", or nothing, where
            only learned "weights" are drawn.
        draw: From models by title, what they are shown (`Pictures`; `ChosenImages` for data), and a seed to a page.
        attention: Kinds of attention blocks, of which one of the networks must have one.
        fewest: How many networks there must be at least; None for as many as `networks` are.
        pictures: How many pictures the paper shows, and are taken from a data set.
        most_pictures: How many there is room for.
        training: Options of `gradscape train` that make such networks.
    """

    title: str
    original: str
    networks: tuple[str, ...]
    takes: Takes
    draw: Callable[[Models, Any, int], Drawing]
    attention: tuple[type[nn.Module], ...]
    fewest: int | None = None
    pictures: int = 1
    most_pictures: int = 1
    training: str = "--data cifar10"

    @property
    def needs(self) -> str:
        """What must be given, in words."""
        count = len(self.networks)
        many = f"{self.fewest} to {count}" if self.fewest else str(count)
        networks = f"{many} network{'s' if count > 1 else ''} such as {', '.join(self.networks)}"
        return {
            "pictures": f"{networks}; {_count(self.pictures, self.most_pictures)}",
            "data": f"{networks}; a data set",
            "noise": networks,
            "weights": networks,
        }[self.takes]

    @property
    def inputs(self) -> str:
        """The options of `gradscape figure` that give what the networks are shown."""
        return {"pictures": " --images PATH...", "data": " --data D", "noise": "", "weights": ""}[self.takes]

    def training_command(self, network: str) -> str:
        """The command that makes one of the networks."""
        return f"gradscape train {network} {self.training} -o runs/{short_name(network)}"


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


def readable(picture: str) -> str:
    """A picture's name in words: without the file's ending."""
    return re.sub(r"\.\w{2,5}$", "", picture).replace("_", " ")


def heatmap_arrays(heatmaps: Mapping[str, Heatmaps]) -> dict[str, np.ndarray]:
    """Every model's maps, the classes explained and their probabilities, under `TITLE.raw` and so on."""
    names = ("raw", "display", "class_index", "probability")
    return {f"{title}.{name}": getattr(maps, name) for title, maps in heatmaps.items() for name in names}


def _count(usual: int, most: int) -> str:
    if most == 1:
        return "a picture"
    return f"pictures, {usual} in the paper, {most} at most"


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
