"""Data that a user's own function returns."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from gradscape._names import load_function
from gradscape.data.arrays import array_images
from gradscape.data.pixels import pick_image
from gradscape.data.source import ALL, Source

__all__ = ["function_images"]


def function_images(name: str, split: str, image_size: int | None) -> Source:
    """Call `package.module:function` with `split` and `image_size`; the current folder is searched, too.

    It returns a map-style data set of (image, label), or the pair (images, labels). Tensors are channels first,
    arrays channels last. Images are uint8, or floating point in [0, 1]. Data that are the same for either split, or
    of a function that takes no `split`, have none of their own.

    Raises:
        ValueError: There is no such function, or what it returned is not as above.
        TypeError: It returned neither of the two.
    """
    function = load_function("name", name)
    if not _takes_split(function):
        return replace(_returned_images(name, function(image_size=image_size)), split=ALL)
    source = _returned_images(name, function(split=split, image_size=image_size))
    try:
        other = function(split="train" if split == "test" else "test", image_size=image_size)
        whole = source.same_as(_returned_images(name, other))
    except Exception:  # whatever a function raises that has no such split
        whole = False
    return replace(source, split=ALL) if whole else source


def _takes_split(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except ValueError:  # nothing is known of it
        return True
    return "split" in parameters or any(one.kind is one.VAR_KEYWORD for one in parameters.values())


def _returned_images(name: str, returned: Any) -> Source:
    if isinstance(returned, (tuple, list)) and len(returned) == 2:
        images, labels = (_as_array(part) for part in returned)
        return array_images(name, images, labels)
    if hasattr(returned, "__getitem__") and hasattr(returned, "__len__") and not isinstance(returned, (tuple, list)):
        return _dataset_images(name, returned)
    raise TypeError(
        f"`{name}` must return a map-style data set or (images, labels), but returned {type(returned).__name__}"
    )


def _as_array(part: Any) -> np.ndarray:
    if isinstance(part, Tensor):
        part = part.detach().cpu()
        return (part.movedim(1, -1) if part.ndim == 4 else part).numpy()
    return np.asarray(part)


def _dataset_images(name: str, dataset: Any) -> Source:
    """Wrap a map-style data set; without `targets`, every item is read once for its label."""
    labels = getattr(dataset, "targets", None)
    if labels is None or getattr(dataset, "target_transform", None) is not None:
        labels = [dataset[index][1] for index in range(len(dataset))]
    numbers = np.asarray(labels)
    if len(numbers) != len(dataset) or numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"`{name}` must have one integer label for each of its {len(dataset)} images")
    numbers = numbers.astype(np.int64)
    classes = getattr(dataset, "classes", None) or range(max(int(numbers.max(initial=0)), 0) + 1)
    read = partial(_dataset_image, name, dataset, numbers)
    return Source(read, numbers, tuple(str(entry) for entry in classes), lazy=True)


def _dataset_image(name: str, dataset: Any, labels: np.ndarray, index: int) -> Shaped[Tensor, "3 height width"]:
    value, label = dataset[index]
    if int(label) != labels[index]:
        raise ValueError(f"`{name}` must label image {index} the same in its items and its `targets`")
    if isinstance(value, Image.Image):
        return transforms.pil_to_tensor(value.convert("RGB"))
    image = pick_image(value[None], 0) if isinstance(value, np.ndarray) else torch.as_tensor(value)
    if image.ndim == 2:
        image = image[None]
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ValueError(f"`{name}` must give images (3, H, W) or (1, H, W), but image {index} is {tuple(image.shape)}")
    if image.dtype != torch.uint8:
        image = _unit_range(name, image, index)
    return image.expand(3, -1, -1)


def _unit_range(name: str, image: Tensor, index: int) -> Tensor:
    if not image.is_floating_point() or not bool(((image >= 0) & (image <= 1)).all()):
        raise ValueError(
            f"`{name}` must give images as uint8 or as floating point in [0, 1], but image {index} is not: "
            f"{image.dtype}, {image.min().item():g} to {image.max().item():g}; normalization belongs to the model"
        )
    return image.float()
