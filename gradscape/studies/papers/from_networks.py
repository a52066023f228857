"""Figures that are made by showing images to networks, or from what networks have learned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

import numpy as np
import torch
from torch import nn

from gradscape.data.pictures import Pictures, load_pictures
from gradscape.models import Classifier
from gradscape.studies.fusion import noise_pictures
from gradscape.studies.networks import common_image_size, load_finite_models
from gradscape.studies.papers.figure import (
    Drawing,
    Given,
    Models,
    PaperFigure,
    describe_networks,
    path_end,
    provenance_of,
    short_name,
    training_command,
)
from gradscape.studies.tsne import ChosenImages, choose_images

__all__ = ["NetworkFigure", "Takes", "check_checkpoints", "load_titled"]

Takes = Literal["pictures", "data", "noise", "weights"]

_PER_CLASS = 50


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkFigure(PaperFigure):
    """A figure of networks and images.

    Attributes:
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
        networks = _count_networks(self.networks, self.fewest)
        return {
            "pictures": f"{networks}; {_count_pictures(self.pictures, self.most_pictures)}",
            "data": f"{networks}; a data set",
            "noise": networks,
            "weights": networks,
        }[self.takes]

    @property
    def inputs(self) -> str:
        """The same as arguments of `gradscape figure`."""
        shown = {"pictures": " --images PATH...", "data": " --data D", "noise": "", "weights": ""}[self.takes]
        return f"CKPT...{shown}"

    def make(self, given: Given) -> Drawing:
        """Draw it from checkpoints and images; a seed chooses images of a data set, makes noise, and starts t-SNE."""
        check_checkpoints(given, self.networks, training=self.training, fewest=self.fewest)
        self._check_shown(given)
        models = load_titled(given.paths, given.device)
        self._check_attention(given, models)
        shown, source = self._gather(given, common_image_size(models))
        drawing = self.draw(models, shown, given.seed)
        pictures = shown if isinstance(shown, Pictures) else None
        return Drawing(
            drawing.figure,
            {"images": pictures.images.numpy(), **drawing.arrays} if pictures else drawing.arrays,
            " · ".join(part for part in (drawing.said, describe_networks(models), source) if part),
            {"networks": provenance_of(models), "image_names": list(pictures.names) if pictures else []},
        )

    def _check_shown(self, given: Given) -> None:
        name, images, data = given.name, given.images, given.data
        if self.takes == "pictures" and bool(images) == (data is not None):
            raise ValueError(f"`--images PATH...` or `--data D` must say what {name} shows: give one of them")
        if self.takes == "data" and (images or data is None):
            raise ValueError(f"`--data D` must name the data set that {name} shows many images of, and no `--images`")
        if self.takes in ("noise", "weights") and (images or data is not None):
            raise ValueError(f"{name} shows {self.takes} and takes neither `--images` nor `--data`: leave them out")
        given.refuse("steps", drawn_from="networks")
        if data is None and (given.choosing.get("limit") or given.choosing.get("classes")):
            raise ValueError(
                "`--limit` and `--classes` choose images of `--data`: name the data set, or leave them out"
            )

    def _check_attention(self, given: Given, models: Models) -> None:
        if any(isinstance(module, self.attention) for model in models.values() for module in model.modules()):
            return
        kinds = " or ".join(kind.__name__ for kind in self.attention)
        raise ValueError(
            f"`CKPT` must have a network with {kinds} for {given.name}, got {', '.join(models)}; "
            f"make one with `{training_command(self.networks[-1], self.training)}`"
        )

    def _gather(self, given: Given, size: int) -> tuple[Pictures | ChosenImages | None, str]:
        """What the networks are shown, and what the caption says of it."""
        if self.takes == "weights":
            return None, ""
        if self.takes == "noise":
            return noise_pictures(size, seed=given.seed), ""
        if given.data is None:
            pictures = load_pictures(given.images, size)
            self._check_room(given, len(pictures.names))
            return pictures, f"pictures at {size} pixels"
        choosing = {"classes": None, **given.choosing, "image_size": size, "seed": given.seed}
        limit, split = choosing.pop("limit", None), choosing.pop("split", None) or "test"
        chosen = choose_images(given.data, split, limit=None, **choosing)
        if self.takes == "data":
            return replace(chosen, order=chosen.order[: limit or _PER_CLASS * _classes_of(chosen)]), ""
        count = limit or self.pictures
        self._check_room(given, count)
        source = f"pictures of {path_end(given.data)} ({split}) at {size} pixels, chosen by seed {given.seed}"
        return _as_pictures(replace(chosen, order=chosen.order[:count])), source

    def _check_room(self, given: Given, count: int) -> None:
        if count > self.most_pictures:
            pictures = "one picture" if self.most_pictures == 1 else f"{self.most_pictures} pictures at most"
            raise ValueError(f"`--images` must be {pictures} for {given.name}, got {count}: leave some out")


def check_checkpoints(given: Given, networks: Sequence[str], *, training: str, fewest: int | None = None) -> None:
    """Refuse too few, too many or missing checkpoints.

    Args:
        given: What was given.
        networks: Names of models that make the figure.
        training: Options of `gradscape train` that make them.
        fewest: How many there must be at least; None for all.

    Raises:
        ValueError: There are more or fewer.
        FileNotFoundError: One is not there.
    """
    wanted = _count_networks(networks, fewest)
    if len(given.paths) < (fewest or len(networks)):
        raise ValueError(
            f"`CKPT` must be {wanted}; {given.name} got {len(given.paths)}. "
            f"Make one with `{training_command(networks[len(given.paths)], training)}`"
        )
    if len(given.paths) > len(networks):
        raise ValueError(f"`CKPT` must be {wanted}; {given.name} got {len(given.paths)}: leave some out")
    for path, network in zip(given.paths, networks, strict=False):
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no checkpoint {path}; make one with `{training_command(network, training)}`"
            )


def load_titled(paths: Sequence[Path], device: str) -> dict[str, Classifier]:
    """Load checkpoints by their networks' names without options, where these tell them apart."""
    models: Mapping[str, Classifier] = load_finite_models(paths, device)
    short = [short_name(model.meta["name"]) for model in models.values()]
    return dict(zip(short if len(set(short)) == len(short) else models, models.values(), strict=True))


def _count_networks(networks: Sequence[str], fewest: int | None) -> str:
    count = len(networks)
    many = f"{fewest} to {count}" if fewest else str(count)
    return f"{many} network{'s' if count > 1 else ''} such as {', '.join(networks)}"


def _count_pictures(usual: int, most: int) -> str:
    if most == 1:
        return "a picture"
    return f"pictures, {usual} in the paper, {most} at most"


def _classes_of(chosen: ChosenImages) -> int:
    return len(np.unique(chosen.split.dataset.labels.numpy()[list(chosen.order)]))


def _as_pictures(chosen: ChosenImages) -> Pictures:
    batches = list(chosen)
    names = tuple(chosen.classes[label] for _, labels in batches for label in labels.tolist())
    return Pictures(torch.cat([images for images, _ in batches]), names)
