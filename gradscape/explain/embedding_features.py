"""Features of a layer for many images: what an embedding is made from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape._taps import check_images_apart
from gradscape.explain.explainable import ForwardFunction, call_model, called_by, explainable
from gradscape.explain.features import copied, listening
from gradscape.explain.inputs import Inputs, input_count, inputs_for, is_pictured
from gradscape.explain.layer_layouts import settle_layout
from gradscape.explain.layout import MapLayout, as_maps
from gradscape.explain.sequences import channel_axis
from gradscape.explain.target_layer import layer_names, named_layer

__all__ = ["Features", "extract_features"]

_CLASSIFIERS = (nn.Linear, nn.Conv2d)  # SqueezeNet's last layer with weights is a convolution
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.Embedding)
_CHANNELS_FIRST = (nn.Conv1d, nn.BatchNorm1d, nn.MaxPool1d, nn.AvgPool1d, nn.Conv2d, nn.BatchNorm2d)


@dataclass(frozen=True, eq=False)
class Features:
    """Features of N images at one layer.

    Attributes:
        values: (N, features) float32.
        labels: (N,) int64.
        layer: Where they come from, "input of NAME" where that is what the last linear layer takes in.
    """

    values: Float[np.ndarray, "images features"]
    labels: Int64[np.ndarray, " images"]
    layer: str


@left_as_before
def extract_features(
    model: nn.Module,
    batches: Iterable[tuple[Inputs, Tensor]],
    *,
    layer: str | None = None,
    forward: ForwardFunction | None = None,
) -> Features:
    """Run a model over images in evaluation mode and keep one layer's features.

    Maps (N, C, H, W), also in the order (N, H, W, C) of Swin transformers, are averaged over their pixels and
    sequences (N, tokens, C) over their tokens. Features (N, C, …) of signals and volumes are averaged over all places;
    of linear layers, layer normalizations and torch's own transformers their channels are last. A layer that runs
    several times counts with its last output. Of tokens, tables and dicts, features (N, places, channels) are averaged
    over their places, all of them: where some are padding, name a layer behind the pooling, or pool in `forward`.

    Args:
        model: Any module; afterwards it is as it was.
        batches: Pairs of images float (N, 3, H, W) as the model takes them, and integer labels (N,). Instead of images
            also tokens (N, T) as integers, rows of a table (N, features) as floats, or a dict, list or tuple of tensors
            with N entries each, which `forward` hands to the model.
        layer: A module's name, such as "stages.3", whose output is taken. None: what the last linear layer of the
            forward pass takes in, the penultimate features of every usual classifier.
        forward: (model, images) -> output, where the model takes more than images, or a part of it is meant.

    Returns:
        The features in the images' order.

    Raises:
        TypeError: The batches are no such pairs, or the layer returns something else than a tensor.
        ValueError: There is no image or no such layer, it does not run, a feature is NaN or infinite, or the model
            weighs images of a batch against each other.
    """
    values, labels = [], []
    model = called_by(model, forward)
    check_images_apart(model)
    found = None if layer is None else named_layer(model, layer, argument="layer")
    with explainable(model), torch.no_grad():
        for images, marks in batches:
            _check_batch(images, marks)
            found = found or _last_linear(model, images)
            name = found[0] if layer else f"input of {found[0]}"
            heard = _heard(model, images, dict([found]), to_inputs=layer is None)
            rows = _one_each(heard, name, images)
            if is_pictured(images):
                rows = _averaged(rows, model, images, layer=found[1], is_input=layer is None)
            elif rows.ndim > 2:
                rows = _averaged_places(rows, images, found, is_input=layer is None)
            values.append(rows.flatten(1).cpu())
            labels.append(marks.cpu().to(torch.int64))
    if not values:
        raise ValueError("`batches` must hold at least one image, got none")
    features = Features(torch.cat(values).numpy(), torch.cat(labels).numpy(), name)
    bad = np.flatnonzero(~np.isfinite(features.values).all(axis=1))
    if len(bad):
        raise ValueError(
            f"`model` must give finite features, but at layer {name} those of {len(bad)} of {len(features.values)} "
            f"images, image {bad[0]} first, are NaN or infinite: check its weights and the images"
        )
    return features


def _averaged(rows: Tensor, model: nn.Module, images: Tensor, *, layer: nn.Module, is_input: bool) -> Tensor:
    """Features of images, signals and volumes, the mean over their places."""
    if images.ndim != 4 and rows.ndim == images.ndim:  # signals and volumes
        channels = -1 if isinstance(layer, _CHANNELS_LAST) else 1
        return rows.movedim(channels, 1).flatten(2).mean(2)
    if rows.ndim == 4:
        rows = as_maps(rows, _layout(rows, model, images, layer=layer, is_input=is_input)).mean((2, 3))
    return rows.mean(1) if rows.ndim == 3 else rows


def _averaged_places(rows: Tensor, inputs: Inputs, layer: tuple[str, nn.Module], *, is_input: bool) -> Tensor:
    """Features of tokens, tables and the like, the mean over their places."""
    name, module = layer
    axis = None
    if isinstance(module, _CHANNELS_LAST):
        axis = rows.ndim - 1
    elif isinstance(module, _CHANNELS_FIRST):
        axis = 1
    elif rows.ndim == 3 and not is_input:
        axis = channel_axis(rows, inputs)
    if axis is None:
        raise ValueError(
            f"`layer` {name} must give features (N, channels), or (N, places, channels) of as many places as there are "
            f"tokens, got {tuple(rows.shape)}: name another layer"
        )
    return rows.movedim(axis, 1).flatten(2).mean(2)


def _check_batch(images: Any, labels: Any) -> None:
    if not (isinstance(images, Tensor | Mapping | list | tuple) and isinstance(labels, Tensor)):
        kinds = f"{type(images).__name__} and {type(labels).__name__}"
        raise TypeError(f"`batches` must be pairs of tensors (images, labels), got {kinds}")
    if labels.is_floating_point() or labels.shape != (input_count(images),):
        raise TypeError(
            f"`batches` must give an integer label for each of the {input_count(images)} images of a batch, "
            f"got {labels.dtype} {tuple(labels.shape)}"
        )


def _last_linear(model: nn.Module, images: Inputs) -> tuple[str, nn.Module]:
    """The linear layer that ran last on the way to the logits, with its name."""
    layers = layer_names(model)
    order: list[str] = []
    linear = {name: module for name, module in layers.items() if isinstance(module, _CLASSIFIERS)}
    with listening(linear, lambda name, _output: order.append(name)):
        call_model(model, inputs_for(model, images))
    if not order:
        raise ValueError("`model` runs no linear layer whose input could be embedded: give a `layer` by its name")
    return order[-1], layers[order[-1]]


def _heard(model: nn.Module, images: Inputs, layer: dict[str, nn.Module], *, to_inputs: bool) -> list[Any]:
    """What a layer gave, or took in, at each of its runs."""
    heard: list[Any] = []
    with listening(layer, lambda _name, seen: heard.append(copied(seen)), to_inputs=to_inputs):
        call_model(model, inputs_for(model, images))
    return heard


def _one_each(heard: list[Any], name: str, images: Inputs) -> Float[Tensor, "images ..."]:
    """What the layer gave or took in last, checked."""
    if not heard:
        raise ValueError(f"`layer` {name} does not run in the forward pass: name a module that does")
    found = heard[-1]
    if not isinstance(found, Tensor):
        raise TypeError(f"`layer` {name} must return a tensor, got {type(found).__name__}: name a module inside it")
    count = input_count(images)
    if found.ndim < 2 or len(found) != count:
        raise ValueError(
            f"`layer` {name} must give features for each of the {count} images, got shape {tuple(found.shape)}"
        )
    return found.float()


def _layout(rows: Tensor, model: nn.Module, images: Tensor, *, layer: nn.Module, is_input: bool) -> MapLayout:
    """How maps are laid out: a convolution takes channels first, a linear layer last; what others give is measured."""
    if is_input:
        return "channels_first" if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d) else "channels_last"
    return settle_layout(None, rows, model, images, layer=layer, layers=layer_names(model), argument="layer")
