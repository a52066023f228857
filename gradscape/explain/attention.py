"""Attention maps of any model: everything that its attention blocks compute for a batch of images."""

import logging
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import get_args

import numpy as np
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape._names import error_line, unknown_name
from gradscape._taps import Kind, Tap
from gradscape.explain.attention_map import AttentionMap, MapCollector
from gradscape.explain.explainable import ForwardFunction, called_by, images_for, title_of
from gradscape.explain.features import listening, run_listened, run_without_memory
from gradscape.explain.foreign_attention import collecting_gates, collecting_self_attention
from gradscape.explain.inputs import Inputs, input_count, is_pictured
from gradscape.explain.layer_layouts import LayerLayouts, last_grid
from gradscape.explain.layout import Layout
from gradscape.explain.readout import tokens_read
from gradscape.explain.target_layer import layer_names
from gradscape.explain.token_maps import find_grid

__all__ = ["ATTENTION_KINDS", "attention_maps", "rank_by_batch_weight"]

_log = logging.getLogger(__name__)

ATTENTION_KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind not in ("before", "result"))


@left_as_before
def attention_maps(
    model: nn.Module,
    images: Inputs,
    *,
    kinds: Collection[str] | None = None,
    layout: Layout | None = None,
    forward: ForwardFunction | None = None,
) -> dict[str, AttentionMap]:
    """Return what every attention block of a model computes for a batch of images.

    Of the networks here everything that their blocks show: channel vectors and channel-mixing matrices, spatial maps,
    masks, subspace maps, pyramid levels (parts named `pooled.0`, … from fine to coarse) and the weights of the scales,
    signed as they were learned, batch weights, affinities, and what is added to the features (parts). Of others the
    gates of squeeze-and-excitation, CBAM and ECA as torchvision and timm have them, and the weights of self-attention
    in any network that attends by torch's functions or by a softmax whose result it multiplies with values. Attention
    whose weights no map can show, within pieces of an image or between channels, is named in a warning.

    The model is run once, in eval mode, and left as it was; BA²M weighs the images of this batch against each other.
    Of a transformer with more tokens than patches one image goes through once more, to see which tokens are read.

    Args:
        model: Any model with attention.
        images: What the model takes: for a loaded checkpoint images in [0, 1]; also tokens (N, T) as integers, rows of
            a table (N, features), or a dict, list or tuple of tensors with N entries each, which `forward` hands to the
            model. Affinities of these, (N, heads, queries, keys), have no grid.
        layout: Which of the tokens that attend to one another are places; None to have it measured, once for a model:
            they must answer to the pixels where they are drawn, else an affinity has no grid.
        kinds: The kinds wanted; None for all. Affinities take height² × width² numbers for each image and head.
        forward: (model, images) -> output, where the model takes more than images, or a dict:
            `forward=lambda model, batch: model(**batch)`.

    Returns:
        Module name -> map, in the order of the computation. Names are those of the bare network, as in its state dict:
        without the `network.` of a loaded checkpoint, so that they are the same for both. When a module runs more than
        once, its second map is called `name:2`.

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If the images are no batch, a kind is unknown, the model has no attention of these kinds, or the
            affinities would take too much memory, or `layout` does not fit.

    Example:
        >>> import torch
        >>> from gradscape.models import create_model
        >>> net = create_model("resnet20+se", image_size=8)
        >>> maps = attention_maps(net, torch.randn(2, 3, 8, 8))
        >>> name, first = next(iter(maps.items()))
        >>> name, first.kind, first.values.shape
        ('layer1.0.se.channel', 'channel', (2, 16))
    """
    wanted = ATTENTION_KINDS if kinds is None else tuple(kinds)
    for kind in wanted:
        if kind not in ATTENTION_KINDS:
            raise unknown_name("kinds", kind, ATTENTION_KINDS)
    model = called_by(model, forward)
    layers = {"": model, **layer_names(model)}
    taps = {name: one for name, one in layers.items() if isinstance(one, Tap) and one.kind in wanted}
    shape = tuple(images_for(model, images).shape) if is_pictured(images) else (input_count(images), 0)
    collector = MapCollector(shape)

    def listen(name: str, output: Tensor) -> None:
        kind = taps[name].kind
        grid = find_grid(output.shape[-1], collector.image_size) if kind == "affinity" else None
        if grid is not None and grid[0] * grid[1] != output.shape[-1]:
            grid = None  # all its keys are pixels
        collector.add(name, name.rpartition(".")[0].removesuffix(".pooled"), kind, output, grid=grid)

    _reserve_affinities(model, taps, images, collector)
    with ExitStack() as stack:
        stack.enter_context(listening(taps, listen))
        stack.enter_context(collecting_gates(layers, collector, wanted))
        if "affinity" in wanted:
            stack.enter_context(collecting_self_attention(layers, collector))
        run_listened(model, images)
    unplaced = [
        name
        for name, one in collector.maps.items()
        if one.kind == "affinity" and one.grid is None and one.name not in taps
    ]
    if unplaced and is_pictured(images):
        layouts = LayerLayouts(model, layer_names(model), images)
        for name in unplaced:
            one = collector.maps[name]
            collector.maps[name] = replace(one, grid=_key_grid(one, layout, layouts))
    if not collector.maps:
        of = "" if kinds is None else f" of the kinds {', '.join(wanted)}"
        raise ValueError(
            f"`model` must have attention blocks{of} that gradscape knows, but {title_of(model)} has none"
            f"{_said_left_out(collector)}"
        )
    if collector.left_out:
        _log.warning("%d attention maps are shown%s", len(collector.maps), _said_left_out(collector))
    if not is_pictured(images):
        return {key: replace(one, left_out=tuple(collector.left_out)) for key, one in collector.maps.items()}
    return _completed(collector, lambda last: tokens_read(model, images, layers, last=last), taps)


def rank_by_batch_weight(maps: Mapping[str, AttentionMap], *, block: str | None = None) -> np.ndarray:
    """Rank the images of a batch by how much BA²M weighs them: in its paper's words, by the complexity of content.

    Source: Cheng et al., "BA²M", 2021, arXiv:2103.15099, equation 11.

    Args:
        maps: What `attention_maps` gave for the batch.
        block: The BA²M block; None for all of them, whose weights are multiplied, as those of one image's features are
            on their way through the network.

    Returns:
        (N,) int64, numbers of the images from the largest weight to the smallest; equal ones in their order.

    Raises:
        ValueError: If there are no batch weights, or none of this block.
    """
    weights = {one.block: one.values for one in maps.values() if one.kind == "batch weights"}
    if not weights:
        raise ValueError("`maps` must hold batch weights, but holds none; take them of a model with BA²M")
    if block is not None and block not in weights:
        raise unknown_name("block", block, weights)
    chosen = list(weights.values()) if block is None else [weights[block]]
    with np.errstate(divide="ignore"):  # a weight may vanish in float32
        logarithms = np.log(np.stack(chosen).astype(np.float64)).sum(0)
    return np.argsort(-logarithms, kind="stable")


def _said_left_out(collector: MapCollector) -> str:
    """What is not shown, for the end of a sentence."""
    left_out = list(collector.left_out)
    if not left_out:
        return ""
    return (
        f"; not shown is the self-attention of {', '.join(left_out[:3])}{' …' * (len(left_out) > 3)} "
        f"({len(left_out)} modules), which attend within pieces of an image, between channels, or otherwise"
    )


def _completed(
    collector: MapCollector, measure: Callable[[int], tuple[int, ...] | None], taps: Collection[str]
) -> dict[str, AttentionMap]:
    """The maps, where self-attention says what is not shown beside it, and what is read where tokens are extra."""
    seen = [one for one in collector.maps.values() if one.kind == "affinity" and one.name not in taps]
    extra = any(one.grid is not None and math.prod(one.grid) < one.values.shape[-1] for one in seen)
    read = measure(len(seen)) if extra and not collector.left_out else None
    left_out = tuple(collector.left_out)
    return {
        key: replace(one, read=read, left_out=left_out) if one in seen else one for key, one in collector.maps.items()
    }


def _key_grid(one: AttentionMap, layout: Layout | None, layouts: LayerLayouts) -> tuple[int, int] | None:
    """The grid of the last of the keys, as stated or as measured."""
    keys = one.values.shape[-1]
    if layout is None:
        return layouts.key_grid(one.name, keys)
    grid = last_grid(layout, keys)
    if grid is None and one.values.shape[-2] == keys:
        raise ValueError(
            f"`layout` must have its places last among the {keys} tokens of {one.name}, row by row, and has {layout}"
        )
    return grid


def _reserve_affinities(model: nn.Module, taps: Mapping[str, Tap], images: Inputs, collector: MapCollector) -> None:
    """Refuse affinities that are too large before they are computed."""
    affinities = {name: tap for name, tap in taps.items() if tap.kind == "affinity"}
    if not affinities:
        return
    with listening(affinities, lambda name, output: collector.reserve(name, tuple(output.shape))):
        try:
            run_without_memory(model, images)
        except RuntimeError as error:
            _log.debug("the size of the affinities is not known beforehand: %s", error_line(error))
