"""Which other version of a network weights are of, where they do not fit the one that was named."""

from collections.abc import Mapping

from torch import Tensor

from gradscape.models.cards import create_weightless
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
    family = _family(name)
    if name not in MODELS:
        return []
    given = _shapes(state)
    siblings = [other for other in MODELS if other != name and _family(other) == family]
    return [
        other
        for other in siblings
        if _shapes(create_weightless(other, num_classes=num_classes, image_size=image_size).state_dict()) == given
    ]


def _family(name: str) -> str:
    return name.removeprefix("cifar_").partition("_")[0]


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    # Files from before PyTorch 0.4.1 have no batch counters.
    return {key: tuple(tensor.shape) for key, tensor in state.items() if not key.endswith(".num_batches_tracked")}
