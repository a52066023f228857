"""Training images in a random order, each randomly changed: the same for the same seed and epoch."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.utils.data import Dataset, Sampler, Subset
from torchvision import tv_tensors
from torchvision.transforms import v2

from gradscape.training.recipe import Recipe

__all__ = ["AugmentedImages", "EpochOrder", "Item", "epoch_seed", "shift_image"]

Item = tuple[Float[Tensor, "3 _ _"], Any]
"""An image and its label: a class, a dict of a picture's boxes, or the classes of its pixels."""

_SEEDS = 2**31


class EpochOrder(Sampler[tuple[int, int]]):
    """The order of one epoch: pairs of an image's index and a seed for its augmentation.

    Both follow from (`seed`, `epoch`) alone, so that neither the number of workers nor a restart changes what an
    image looks like.

    Args:
        count: Images in the data set.
        seed: Of the run.
        epoch: The first epoch wanted, from 0.
        batch_size: Known only to leave out a last batch of a single image, on which batch norm cannot train.
    """

    def __init__(self, count: int, *, seed: int, epoch: int, batch_size: int) -> None:
        self.count = count
        self.seed = seed
        self.epoch = epoch
        self.kept = count - (count % batch_size == 1)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose order comes next; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.kept

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        order = torch.randperm(self.count, generator=generator).tolist()
        seeds = torch.randint(_SEEDS, (self.count,), generator=generator).tolist()
        return iter(list(zip(order, seeds, strict=True))[: self.kept])


class AugmentedImages(Dataset[Item]):
    """Images of a data set, randomly changed as a recipe says; taken by the pairs of `EpochOrder`.

    Args:
        images: Map-style data set of (image, label); boxes and pixels are mirrored with their image. Where it has the
            same images larger, as `whole` (uint8, 8 bits a channel), resized crops are parts of those, to the bit those
            of torchvision's transforms of the files.
        recipe: Says how to crop, shift and mirror.
    """

    def __init__(self, images: Dataset[Item], recipe: Recipe) -> None:
        self.recipe = recipe
        self.flip = v2.RandomHorizontalFlip()
        whole = _whole_images(images) if recipe.resized_crop else None
        self.images = images if whole is None else whole
        self.size = None if whole is None else images[0][0].shape[-2:]

    def __len__(self) -> int:
        return len(self.images)  # type: ignore[arg-type]

    def __getitem__(self, pair: tuple[int, int]) -> Item:
        return self.__getitems__([pair])[0]

    def __getitems__(self, pairs: list[tuple[int, int]]) -> list[Item]:
        """Take one batch: torch's loader prefers this to a call per image."""
        with torch.random.fork_rng(devices=[]):
            return [self._augmented(*pair) for pair in pairs]

    def _augmented(self, index: int, seed: int) -> Item:
        torch.default_generator.manual_seed(seed)
        image, label = self.images[index]  # after the seed: a user's data set may be random itself
        if self.recipe.resized_crop:
            image = self._resized_crop(image)
        if self.recipe.crop_padding:
            image = v2.RandomCrop(image.shape[-2:], padding=self.recipe.crop_padding)(image)
        if self.recipe.shift:
            for dim, part in zip((1, 2), (self.recipe.shift * (2 * torch.rand(2) - 1)).tolist(), strict=True):
                image = shift_image(image, part * image.shape[dim], dim=dim)
        if self.recipe.of_places:
            return self._mirrored(image, label) if self.recipe.horizontal_flip else (image, label)
        return self.flip(image) if self.recipe.horizontal_flip else image, int(label)

    def _mirrored(self, image: Float[Tensor, "3 _ _"], target: Any) -> Item:
        """Every second image, with the places of what is in it."""
        if isinstance(target, Tensor):
            image, pixels = self.flip(image, tv_tensors.Mask(target))
            return image, pixels.as_subclass(Tensor)
        boxes = tv_tensors.BoundingBoxes(target["boxes"], format="XYXY", canvas_size=image.shape[-2:])
        masks = {name: tv_tensors.Mask(target[name]) for name in ("masks",) if name in target}
        image, moved = self.flip(image, {**target, "boxes": boxes, **masks})
        plain = {name: tensor.as_subclass(Tensor) for name, tensor in moved.items()}
        return image, {**plain, "boxes": plain["boxes"] * (plain["classes"] >= 0)[:, None]}  # empty places stay so

    def _resized_crop(self, image: Shaped[Tensor, "3 _ _"]) -> Float[Tensor, "3 _ _"]:
        crop = v2.RandomResizedCrop(self.size or image.shape[-2:])
        if image.dtype != torch.uint8:
            return crop(image)
        # Through Pillow, as images of files usually are: torch rounds otherwise.
        return v2.functional.pil_to_tensor(crop(v2.functional.to_pil_image(image))) / 255


def _whole_images(images: Dataset[Item]) -> Dataset[Item] | None:
    """The same images before they were cut, if the data set has them."""
    if not isinstance(images, Subset):
        return getattr(images, "whole", None)
    whole = _whole_images(images.dataset)
    return None if whole is None else Subset(whole, images.indices)


def shift_image(
    image: Float[Tensor, "3 height width"], distance: float, *, dim: int
) -> Float[Tensor, "3 height width"]:
    """Move an image along one dimension, bilinear between pixels; those at the edge are repeated.

    Along both dimensions, one after the other, it is Keras' random shift with the fill mode "nearest".

    Args:
        image: What to move.
        distance: In pixels, of any size: where the first pixel of the result lies in the image.
        dim: 1 to move it vertically, 2 horizontally.
    """
    side = image.shape[dim]
    whole = math.floor(distance)
    near, far = (torch.arange(start, start + side).clamp(0, side - 1) for start in (whole, whole + 1))
    return torch.lerp(image.index_select(dim, near), image.index_select(dim, far), distance - whole)


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for all that is random in one epoch of a run: a number drawn, so that close seeds share no epochs."""
    draws = torch.randint(_SEEDS, (epoch + 1,), generator=torch.Generator().manual_seed(seed))
    return int(draws[epoch])
