"""Places of what is no image: the tokens of a sequence, or the columns of a table, as a layer gives them."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from gradscape.explain.explainable import call_model, explainable
from gradscape.explain.features import listening
from gradscape.explain.inputs import Inputs, input_count, inputs_for, tensors_of
from gradscape.explain.layout import MapLayout, as_maps
from gradscape.explain.place_order import in_order

__all__ = ["channel_axis", "check_token_order", "sequence_length", "settle_sequence"]

_WORDS = '"channels_last" (N, places, channels) or "channels_first" (N, channels, places)'


def sequence_length(inputs: Inputs) -> int | None:
    """How many tokens or columns a batch has: what its tensors (N, T) agree on, integers before floats; else None."""
    flat = [one for one in tensors_of(inputs) if one.ndim == 2]
    for group in ([one for one in flat if not one.is_floating_point()], flat):
        lengths = {one.shape[1] for one in group}
        if len(lengths) == 1:
            return lengths.pop()
    return None


def channel_axis(features: Tensor, inputs: Inputs) -> int | None:
    """Which dimension of features (N, ·, ·) their channels are, as far as the number of tokens tells; else None."""
    tokens = [number for number in (1, 2) if features.shape[number] == sequence_length(inputs)]
    return 3 - tokens[0] if len(tokens) == 1 else None


def settle_sequence(layout: MapLayout | None, features: Tensor, inputs: Inputs, *, layer: str) -> MapLayout:
    """Return how a layer gives its places, as stated, or as the number of tokens tells.

    Args:
        layout: "channels_last" (N, places, channels), or "channels_first" (N, channels, places); None to find it.
        features: What the layer gave.
        inputs: What the model took.
        layer: The layer's name.

    Raises:
        ValueError: The layer gives no places, it is open which of its dimensions they are, or `layout` names the
            other one.
    """
    shape, count = tuple(features.shape), input_count(inputs)
    if features.ndim != 3 or len(features) != count:
        raise ValueError(
            f"`target_layer` {layer} must give places that a heatmap can lie over, (N, places, channels) or "
            f"(N, channels, places) of {count} examples, got {shape}: a row of numbers has none, `embed` can draw it"
        )
    axis = channel_axis(features, inputs)
    told: MapLayout | None = None if axis is None else "channels_last" if axis == 2 else "channels_first"
    if layout in ("channels_first", "channels_last"):
        if told not in (None, layout):
            raise ValueError(
                f'`layout` "{layout}" contradicts {layer}, whose shape {shape} has a place for each token in "{told}": '
                "leave it out"
            )
        return layout
    if layout is not None or told is None:
        raise ValueError(f"`layout` must say how {layer} gives its places, {_WORDS}: its shape {shape} does not")
    return told


def check_token_order(
    model: nn.Module, inputs: Inputs, layers: Mapping[str, nn.Module], layouts: Mapping[str, MapLayout]
) -> None:
    """Refuse layers whose first and last half of places do not answer to the tokens in this order.

    One more run tells, by what the features of each half owe to the first embedding of tokens in the model. Nothing is
    said of a model without one.

    Args:
        model: Any module.
        inputs: What it takes.
        layers: Modules by name.
        layouts: How each gives its places.

    Raises:
        ValueError: A layer's places lie otherwise.
    """
    embedded: list[Tensor] = []
    seen: dict[str, Tensor] = {}
    count = input_count(inputs)

    def open_up(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if embedded or not isinstance(output, Tensor) or output.ndim != 3 or len(output) != count:
            return None
        embedded.append(output.detach().clone().requires_grad_())
        return embedded[0].clone()

    with explainable(model), ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                hooks.callback(module.register_forward_hook(open_up).remove)
        with listening(layers, lambda name, output: seen.update({name: output})):
            call_model(model, inputs_for(model, inputs))
        for name, features in seen.items():
            maps = as_maps(features, layouts[name])
            if not embedded or not maps.requires_grad or maps.shape[2] < 2:
                continue
            if not in_order(maps, embedded[0], 2, input_side=1, apart=0.0):
                raise ValueError(
                    f"`target_layer` {name} must give places that lie as the tokens do, but its first and last half do "
                    "not answer to them in this order: choose another layer"
                )
