"""A model called with other tensors in place of its own."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["called_with"]


def called_with(model: nn.Module, tensors: Mapping[str, Tensor], *arguments: Any) -> Any:
    """Call a model with other parameters and buffers, wherever it holds them: tied ones, layers that stand twice.

    Args:
        model: Any module; it is as before afterwards, also after an exception.
        tensors: By any of the names that the model's own have.
        *arguments: What it takes.

    Raises:
        KeyError: The model has no such tensor.
    """
    named = chain(
        model.named_parameters(remove_duplicate=False),
        model.named_buffers(remove_duplicate=False),
    )
    own = {name: id(one) for name, one in named}
    new = {own[name]: tensor for name, tensor in tensors.items()}
    # Every place by one name only: torch itself would exchange a layer that stands twice two times, and leave it with
    # the other tensor for good.
    places = {
        f"{prefix}.{name}".removeprefix("."): new[id(one)]
        for prefix, module in model.named_modules()
        for name, one in (*module._parameters.items(), *module._buffers.items())
        if one is not None and id(one) in new
    }
    return functional_call(model, places, arguments, tie_weights=False)
