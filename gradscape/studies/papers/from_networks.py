"""Figures that are made by showing images to networks, or from what networks have learned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, final

import numpy as np
from torch import nn

from gradscape._recipe_record import describe_recipe_differences
from gradscape.data.pictures import Pictures
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.look import ANY_PICTURE
from gradscape.studies.networks import common_image_size
from gradscape.studies.papers.checkpoints import (
    Models,
    WantedNetworks,
    describe_networks,
    load_titled,
    provenance_of,
)
from gradscape.studies.papers.exhibits import Exhibit, ImageInputs
from gradscape.studies.papers.figure import Drawing, PaperFigure

__all__ = ["NetworkFigure", "NetworkInputs", "heatmap_arrays"]

Shown = TypeVar("Shown")


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkInputs:
    """What a figure of networks is drawn from.

    Attributes:
        name: The figure's name.
        checkpoints: As many as it takes, all of them there.
        images: What the networks are shown.
        seed: Chooses images of a data set, makes noise, and starts t-SNE.
        device: Where the networks run.
    """

    name: str
    checkpoints: Sequence[Path]
    images: ImageInputs
    seed: int = 0
    device: str = "cpu"


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkFigure(PaperFigure, Generic[Shown]):
    """A figure of networks and what they are shown.

    Attributes:
        networks: Names of models that make it, as `create_model` takes them, in the order of the checkpoints.
        exhibit: What the networks are shown.
        draw: From models by title, what they are shown, and a seed to a page.
        attention: Kinds of attention blocks, of which one of the networks must have one.
        fewest: How many networks there must be at least; None for as many as `networks` are.
        training: Options of `gradscape train` that make such networks.
        colored: Whether its colors are values, for which another color map can be chosen.
        repeated: Whether there may be more networks, all of them trainings of one.
    """

    networks: tuple[str, ...]
    exhibit: Exhibit[Shown]
    draw: Callable[[Models, Shown, int], Drawing]
    attention: tuple[type[nn.Module], ...]
    fewest: int | None = None
    training: str = "--data cifar10"
    colored: bool = True
    repeated: bool = False

    @property
    def choices(self) -> frozenset[str]:
        """What of a `Look` changes something of it."""
        return ANY_PICTURE | ({"cmap"} if self.colored else set())

    @property
    def wanted(self) -> WantedNetworks:
        """The networks that make it."""
        return WantedNetworks(self.networks, self.training, self.fewest, self.repeated)

    @property
    def needs(self) -> str:
        """What must be given, in words."""
        return "; ".join(part for part in (str(self.wanted), self.exhibit.needs) if part)

    @property
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return f"CKPT... {self.exhibit.arguments}".rstrip()

    def make(self, inputs: NetworkInputs) -> Drawing:
        """Draw it.

        Raises:
            ValueError: No network has the attention, a network's values are not finite, or images do not fit.
            FileNotFoundError: Images are not there.
        """
        models = load_titled(inputs.checkpoints, inputs.device)
        self._check_attention(inputs.name, models)
        shown, source = self.exhibit.gather(
            inputs.images, common_image_size(models), figure=inputs.name, seed=inputs.seed
        )
        drawing = self.draw(models, shown, inputs.seed)
        pictures = shown if isinstance(shown, Pictures) else None
        differences = describe_recipe_differences({title: model.meta for title, model in models.items()})
        return Drawing(
            drawing.figure,
            {"images": pictures.images.numpy(), **drawing.arrays} if pictures else drawing.arrays,
            " · ".join(part for part in (drawing.said, describe_networks(models), differences, source) if part),
            {"networks": provenance_of(models), "image_names": list(pictures.names) if pictures else []},
        )

    def _check_attention(self, name: str, models: Models) -> None:
        if any(isinstance(module, self.attention) for model in models.values() for module in model.modules()):
            return
        kinds = " or ".join(kind.__name__ for kind in self.attention)
        raise ValueError(
            f"`CKPT` must have a network with {kinds} for {name}, got {', '.join(models)}; "
            f"make one with `{self.wanted.command(-1)}`"
        )


def heatmap_arrays(heatmaps: Mapping[str, Heatmaps]) -> dict[str, np.ndarray]:
    """Every model's maps, the classes explained and their probabilities, under `TITLE.raw` and so on."""
    return {
        f"{title}.{name}": array
        for title, maps in heatmaps.items()
        for name, array in (
            ("raw", maps.raw),
            ("display", maps.display),
            ("class_index", maps.class_index),
            ("probability", maps.probability),
        )
    }
