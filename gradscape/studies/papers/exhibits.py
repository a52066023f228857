"""What networks are shown for a figure: pictures, many images of a data set, noise; or nothing but themselves."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar, final

import numpy as np
import torch

from gradscape.data.pictures import Pictures, load_canvases, load_pictures
from gradscape.studies.fusion import noise_pictures
from gradscape.studies.papers.data_source import DataSource
from gradscape.studies.papers.wording import path_end
from gradscape.studies.tsne import ChosenImages, choose_images

__all__ = ["DataExhibit", "Exhibit", "ImageInputs", "NoiseExhibit", "PictureExhibit", "WeightExhibit"]

_PER_CLASS = 50

Shown = TypeVar("Shown", covariant=True)


@final
@dataclass(frozen=True, kw_only=True)
class ImageInputs:
    """Images that a person gave; none for noise and weights.

    Attributes:
        files: Image files and folders of them.
        data: A data set instead.
        classes: The only ones to take of it, names or numbers with commas between them; None for all.
    """

    files: Sequence[Path] = ()
    data: DataSource | None = None
    classes: str | None = None


class Exhibit(ABC, Generic[Shown]):
    """What a figure shows to networks."""

    @property
    @abstractmethod
    def needs(self) -> str:
        """What a person must give, in words; empty for nothing."""

    @property
    @abstractmethod
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""

    @abstractmethod
    def gather(self, images: ImageInputs, size: int, *, figure: str, seed: int) -> tuple[Shown, str]:
        """Return what is shown, and what the caption says of it.

        Args:
            images: What was given.
            size: Side of the images in pixels.
            figure: The figure's name.
            seed: Chooses images of a data set, or makes noise.

        Raises:
            ValueError: More were given than the figure has room for, or a file is no image.
            FileNotFoundError: A file or the data are not there.
        """


@final
@dataclass(frozen=True, kw_only=True)
class PictureExhibit(Exhibit[Pictures]):
    """A few pictures, from files or from a data set.

    Attributes:
        usual: How many the paper shows, and are taken from a data set.
        most: How many there is room for.
        whole: Whether pictures are shown whole, as canvases, and not their center squares; then they are files.
    """

    usual: int = 1
    most: int = 1
    whole: bool = False

    @property
    def needs(self) -> str:
        """What a person must give, in words."""
        return "a picture" if self.most == 1 else f"pictures, {self.usual} in the paper, {self.most} at most"

    @property
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "--images PATH..."

    def gather(self, images: ImageInputs, size: int, *, figure: str, seed: int) -> tuple[Pictures, str]:
        """Decode the files, or choose images of the data set, which are named by their classes."""
        if self.whole and images.data is not None:
            raise ValueError(
                f"{figure} shows whole pictures: name their files with `--images PATH...`, and no `--data`"
            )
        if images.data is None:
            pictures = (load_canvases if self.whole else load_pictures)(images.files, size)
            self._check_room(figure, len(pictures.names))
            return pictures, f"pictures at {size} pixels"
        chosen = _choose(images.data, images.classes, size, seed)
        count = images.data.limit or self.usual
        self._check_room(figure, count)
        about = f"{path_end(images.data.name)} ({chosen.split.split}) at {size} pixels, chosen by seed {seed}"
        return _as_pictures(replace(chosen, order=chosen.order[:count])), f"pictures of {about}"

    def _check_room(self, figure: str, count: int) -> None:
        if count > self.most:
            pictures = "one picture" if self.most == 1 else f"{self.most} pictures at most"
            raise ValueError(f"`--images` must be {pictures} for {figure}, got {count}: leave some out")


@final
class DataExhibit(Exhibit[ChosenImages]):
    """Images of a data set with their labels, 50 of each class where nothing else is said."""

    needs = "a data set"
    arguments = "--data D"

    def gather(self, images: ImageInputs, size: int, *, figure: str, seed: int) -> tuple[ChosenImages, str]:
        """Choose as many of each class."""
        assert images.data is not None, f"{figure} shows a data set"
        chosen = _choose(images.data, images.classes, size, seed)
        return replace(chosen, order=chosen.order[: images.data.limit or _PER_CLASS * _count_classes(chosen)]), ""


@final
class NoiseExhibit(Exhibit[Pictures]):
    """Standard normal noise."""

    needs = ""
    arguments = ""

    def gather(self, images: ImageInputs, size: int, *, figure: str, seed: int) -> tuple[Pictures, str]:
        """Make the noise."""
        return noise_pictures(size, seed=seed), ""


@final
class WeightExhibit(Exhibit[None]):
    """Nothing: what is drawn is what the networks have learned."""

    needs = ""
    arguments = ""

    def gather(self, images: ImageInputs, size: int, *, figure: str, seed: int) -> tuple[None, str]:
        """Nothing is gathered."""
        return None, ""


def _choose(data: DataSource, classes: str | None, size: int, seed: int) -> ChosenImages:
    """All images of the classes, in an order of which every beginning is balanced."""
    return choose_images(
        data.name,
        data.split or "test",
        classes=classes,
        limit=None,
        image_size=size,
        seed=seed,
        root=data.root,
        download=data.download,
    )


def _count_classes(chosen: ChosenImages) -> int:
    return len(np.unique(chosen.split.dataset.labels.numpy()[list(chosen.order)]))


def _as_pictures(chosen: ChosenImages) -> Pictures:
    batches = list(chosen)
    names = tuple(chosen.classes[label] for _, labels in batches for label in labels.tolist())
    return Pictures(torch.cat([images for images, _ in batches]), names)
