"""Class-activation maps of many methods and layers from one pass."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape._left_as_before import left_as_before
from gradscape._names import unknown_name
from gradscape._provenance import Provenance, current_versions
from gradscape._taps import check_images_apart
from gradscape.explain.explainable import ForwardFunction, called_by, uncompiled
from gradscape.explain.explained import ClassIndex, Score, pick_scores
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.inputs import Inputs, input_count, is_pictured
from gradscape.explain.layer_layouts import settle_layout
from gradscape.explain.layout import MapLayout, as_maps
from gradscape.explain.output_kind import OutputKind
from gradscape.explain.place_order import check_order
from gradscape.explain.sequences import check_token_order, sequence_length, settle_sequence
from gradscape.explain.shared_pass import SharedPass, run_shared_pass
from gradscape.explain.target_layer import layer_names, named_layer, resolve_layer
from gradscape.explain.weightings import METHODS, UNGRADED

__all__ = ["heatmaps", "list_methods"]

_log = logging.getLogger(__name__)

Layer = str | nn.Module
Layers = list[Layer] | tuple[Layer, ...]
Methods = list[str] | tuple[str, ...]


def list_methods() -> list[str]:
    """Return the names of all methods, first those that come from one shared pass."""
    from gradscape.explain.package_cam import PACKAGE_METHODS

    return [*METHODS, *PACKAGE_METHODS]


@overload
def heatmaps(
    model: nn.Module,
    images: Inputs,
    *,
    method: str = ...,
    target_layer: Layer | None = ...,
    class_index: ClassIndex | None = ...,
    score: Score | None = ...,
    outputs: OutputKind | None = ...,
    layout: MapLayout | None = ...,
    forward: ForwardFunction | None = ...,
) -> Heatmaps: ...
@overload
def heatmaps(
    model: nn.Module,
    images: Inputs,
    *,
    method: Methods,
    target_layer: Layer | Layers | None = ...,
    class_index: ClassIndex | None = ...,
    score: Score | None = ...,
    outputs: OutputKind | None = ...,
    layout: MapLayout | None = ...,
    forward: ForwardFunction | None = ...,
) -> dict[str, Heatmaps]: ...
@overload
def heatmaps(
    model: nn.Module,
    images: Inputs,
    *,
    method: str = ...,
    target_layer: Layers,
    class_index: ClassIndex | None = ...,
    score: Score | None = ...,
    outputs: OutputKind | None = ...,
    layout: MapLayout | None = ...,
    forward: ForwardFunction | None = ...,
) -> dict[str, Heatmaps]: ...
@left_as_before
def heatmaps(
    model: nn.Module,
    images: Inputs,
    *,
    method: str | Methods = "gradcam++",
    target_layer: Layer | Layers | None = None,
    class_index: ClassIndex | None = None,
    score: Score | None = None,
    outputs: OutputKind | None = None,
    layout: MapLayout | None = None,
    forward: ForwardFunction | None = None,
) -> Heatmaps | dict[str, Heatmaps]:
    """Return where in each image the features speak for a class.

    `gradcam`, `gradcam++`, `hirescam`, `layercam`, `xgradcam`, `elementwise`, `eigencam` and `eigengradcam` come from
    one forward pass and one differentiation, however many of them and of layers are asked for; where the layer has to
    be found, or how it is laid out, a few images go through before, once for a model. The other methods of
    `list_methods()` are the grad-cam package's, and cost what they cost there. The model is explained in eval mode and
    left as it was: modes, parameters, their gradients, hooks.

    `.raw` is signed: it is taken before the ReLU that most methods end with. The ReLU inside the sum over channels of
    LayerCAM and element-wise Grad-CAM belongs to their equations and is applied.

    Warnings are logged for a layer that runs more than once in a forward pass, which is explained at the last of its
    runs that depend on the images, and for maps that are zero, nowhere positive, or not finite; `Heatmaps.faults` holds
    these too.

    `.probability` is the softmax of logits (N, classes), and the sigmoid of one logit (N, 1), which has two classes:
    1, for which the logit speaks, and 0, for which its negative does. A model that ends in a softmax or sigmoid gives
    probabilities itself; they are shown as they are, and a warning says so. `.meta["outputs"]` tells the rule.

    Args:
        model: Any module that takes the images: on any device, in any float type, compiled or not.
        images: (N, C, H, W), volumes (N, C, D, H, W), or signals (N, C, L); in [0, 1] for a loaded checkpoint. Also
            tokens (N, T) as integers, rows of a table (N, T) as floats, or a dict, list or tuple of tensors with N
            entries each, which `forward` hands to the model: their maps (N, T) lie over tokens or columns, and
            `target_layer` must be named, one that gives (N, places, channels) or (N, channels, places).
        method: A method's name, or a list of names.
        target_layer: A layer or its name, or a list of these; None for the one of `find_target_layer`. The prefix
            `network.` of a loaded checkpoint may be left out, and `stages.3` is understood where `stages` is a
            property.
        class_index: A class by number, or by name where the model is a loaded checkpoint with labels; one for all
            images or one for each; None for the predicted class of each.
        score: From the model's output to one number for each image, (N,), where the output is not logits (N, classes).
        outputs: What the model's numbers are: "logits", "probabilities", "log_probabilities", or where each class has
            a probability of its own "multi_label_logits" or "multi_label_probabilities"; None to measure it, by which
            logits always count as those of classes that exclude each other.
        layout: How the target layer gives its places: "channels_first" (N, C, h, w), "channels_last" (N, h, w, C), a
            `Layout` of tokens, or a function from what it gives to (N, C, h, w); None to have it measured: which pixels
            each place answers to must be where it is drawn. Of tokens and tables "channels_last" (N, places, channels)
            or "channels_first" (N, channels, places); None where their number tells.
        forward: (model, images) -> output, where the model takes more than images, such as a second input:
            `forward=lambda model, images: model(images, others)`, or a dict: `lambda model, batch: model(**batch)`.

    Returns:
        Heatmaps; for a list of methods or of layers a dict of them, by method, by layer, or by "method@layer".

    Raises:
        TypeError: An argument, or what a layer or `score` gives, is of the wrong kind.
        ValueError: A name is unknown, images or scores are not finite, a class is out of range, a layer has no places
            or does not lead to the score, `outputs` contradicts the numbers, `layout` does not fit it or has to be
            given, or the model weighs images of a batch against each other.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
        >>> found = heatmaps(net, torch.rand(2, 3, 12, 16), method="gradcam", target_layer="0")
        >>> found.raw.shape, found.display.shape  # of the layer's size, and of the images'
        ((2, 10, 14), (2, 12, 16))
    """
    many_methods, many_layers = isinstance(method, list | tuple), isinstance(target_layer, list | tuple)
    methods = _listed("method", method)
    _check_methods(methods, images)
    model = called_by(model, forward)
    check_images_apart(model)
    layers = dict(
        _layer(model, one, images, score=score, layout=layout) for one in _listed("target_layer", target_layer)
    )
    seen = run_shared_pass(
        model,
        images,
        layers,
        partial(pick_scores, class_index=class_index, score=score, labels=_labels(model), outputs=outputs),
        differentiate=any(name in METHODS and name not in UNGRADED for name in methods),
    )
    layouts = _layouts(model, images, layers, seen, layout)
    found: dict[str, Heatmaps] = {}
    for layer, name in product(layers, methods):
        if name in METHODS:
            raw = _shared_maps(name, layer, seen, layouts[layer])
        else:
            to_maps = partial(as_maps, layout=layouts[layer])
            raw = _package_maps(name, layers[layer], seen, model, images, score=score, to_maps=to_maps)
        if len(raw) != input_count(images):
            raise ValueError(
                f"`target_layer` {layer} must give a map for each of the {input_count(images)} images, along its first "
                f"dimension, got {len(raw)}; choose another layer"
            )
        key = f"{name}@{layer}" if many_methods and many_layers else layer if many_layers else name
        found[key] = Heatmaps(
            raw,
            image_size=_size(images) or raw.shape[1:],
            method=name,
            target_layer=layer,
            class_index=seen.explained.class_index,
            score=seen.explained.scores.float().cpu().numpy(),
            probability=seen.explained.probability,
            meta=_provenance(model, seen.explained.outputs),
        )
    _report(found, seen)
    return found if many_methods or many_layers else found[name]


def _layer(model: nn.Module, asked: Layer | None, images: Inputs, **options: Any) -> tuple[str, nn.Module]:
    if is_pictured(images):
        return resolve_layer(model, asked, images, **options)
    if asked is None:
        raise ValueError(
            "`target_layer` must be named where `images` are no images, signals or volumes: a layer that gives a place "
            "for each token or column, (N, places, channels); rows of a table that no layer gives places to have no "
            "heatmap, but `embed` can draw them"
        )
    return named_layer(model, asked)


def _layouts(
    model: nn.Module, images: Inputs, layers: Mapping[str, nn.Module], seen: SharedPass, layout: MapLayout | None
) -> dict[str, MapLayout]:
    """How each layer gives its places, and that they lie as those of the input."""
    if not is_pictured(images):
        found = {name: settle_sequence(layout, seen.features[name], images, layer=name) for name in layers}
        check_token_order(model, images, layers, found)
        return found
    names = layer_names(model)
    measured = {
        name: settle_layout(layout, seen.features[name], model, images, layer=layer, layers=names)
        for name, layer in layers.items()
    }
    if images.ndim != 4:
        check_order(model, images, layers)
    return measured


def _shared_maps(name: str, layer: str, seen: SharedPass, layout: MapLayout) -> np.ndarray:
    """One method's maps at one layer from the shared pass, (N, h, w) float32, or of a volume's or signal's shape."""
    features = as_maps(seen.features[layer].float(), layout)
    gradients = features if name in UNGRADED else _placed_gradients(layer, seen, layout)
    size = features.shape[2:]
    if len(size) != 2:  # to the methods, places are places
        features, gradients = (one.flatten(2)[..., None] for one in (features, gradients))
    with torch.autocast(features.device.type, enabled=False):
        return METHODS[name](features, gradients).reshape(-1, *size).cpu().numpy()


def _placed_gradients(layer: str, seen: SharedPass, layout: MapLayout) -> Tensor:
    gradients = as_maps(seen.gradients[layer].float(), layout)
    if not gradients.any() and seen.gradients[layer].any():
        raise ValueError(
            f"`target_layer` {layer} reaches the score by its class token alone, so that every place has a zero "
            "gradient; choose a layer before the last block, or None to have one found"
        )
    return gradients


def _package_maps(
    name: str,
    layer: nn.Module,
    seen: SharedPass,
    model: nn.Module,
    images: Inputs,
    *,
    score: Score | None,
    to_maps: Callable[[Tensor], Tensor],
) -> np.ndarray:
    from gradscape.explain.package_cam import package_maps

    assert is_pictured(images)  # by `_check_methods`
    return package_maps(
        model,
        images,
        method=name,
        target_layer=layer,
        class_index=seen.explained.class_index,
        score=score,
        outputs=seen.explained.outputs,
        to_maps=to_maps,
    )


def _report(found: dict[str, Heatmaps], seen: SharedPass) -> None:
    """Log what must not go unseen."""
    for layer, count in seen.runs.items():
        if count > 1:
            run = seen.explained_runs[layer]
            which = "last run" if run == count else f"run {run}, the last on the images,"
            _log.warning("`target_layer` %s runs %d times in a forward pass; its %s is explained", layer, count, which)
    for one in found.values():
        if one.faults:
            listed = ", ".join(f"image {number} is {fault}" for number, fault in one.faults.items())
            _log.warning("%s at %s has maps that must not be painted: %s", one.method, one.target_layer, listed)


def _listed(argument: str, value: Any) -> list[Any]:
    listed = list(value) if isinstance(value, list | tuple) else [value]
    if not listed:
        raise ValueError(f"`{argument}` must hold at least one name, got an empty {type(value).__name__}")
    return listed


def _check_methods(methods: list[Any], images: Inputs) -> None:
    for name in methods:
        if name not in METHODS and name not in list_methods():  # the package's names cost its import
            raise unknown_name("method", name, list_methods())
        if name not in METHODS and not (is_pictured(images) and images.ndim == 4):
            raise ValueError(f"`method` must be one of {', '.join(METHODS)} for what is no image, got {name}")


def _labels(model: nn.Module) -> Sequence[str] | None:
    plain = uncompiled(model)
    return plain.labels if isinstance(plain, Classifier) else None


def _size(images: Inputs) -> tuple[int, ...]:
    """What maps are resized to: the size of images, the number of tokens or columns, () where it is not known."""
    if is_pictured(images):
        return tuple(images.shape[2:])
    length = sequence_length(images)
    return () if length is None else (length,)


def _provenance(model: nn.Module, outputs: OutputKind | None) -> Provenance:
    plain, others = uncompiled(model), {} if outputs is None else {"outputs": outputs}
    if isinstance(plain, Classifier):
        return Provenance(model=plain.meta["name"], versions=current_versions(), others=others)
    return Provenance(title=type(plain).__name__, versions=current_versions(), others=others)
