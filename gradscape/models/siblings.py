"""Which other version of a network weights are of, where they do not fit the one that was named."""

from collections.abc import Mapping

from torch import Tensor

from gradscape.models.cards import create_weightless
from gradscape.models.fit import fits
from gradscape.models.registry import MODELS

__all__ = ["fitting_siblings"]


def fitting_siblings(name: str, state: Mapping[str, Tensor], *, num_classes: int, image_size: int) -> list[str]:
    """Names of models that every tensor fits, among those called alike: `resnet56_projection` for `resnet56`.

    Args:
        name: The model that the weights do not fit.
        state: Tensors by name.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.

    Returns:
        Their names, none where the model is none of gradscape's.
    """
    if name not in MODELS:
        return []
    siblings = [other for other in MODELS if other != name and _family(other) == _family(name)]
    shape = {"num_classes": num_classes, "image_size": image_size}
    return [other for other in siblings if fits(create_weightless(other, **shape), state)]


def _family(name: str) -> str:
    return name.removeprefix("cifar_").partition("_")[0]
