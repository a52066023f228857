"""Attention of other libraries' networks: the gates and the self-attention of torchvision, timm and plain torch.

Gates (squeeze-and-excitation, CBAM, ECA) are known by their classes, self-attention by what it calls
(`attention_calls`).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain.attention_calls import AttentionCall, has_taps, watching_attention
from gradscape.explain.attention_map import MapCollector
from gradscape.explain.features import listening

__all__ = ["attends_in_whole_images", "collecting_gates", "collecting_self_attention"]


@dataclass(frozen=True)
class _Gate:
    """Where a class of gates shows its weights: the output of a submodule, after a sigmoid where it has none itself."""

    submodule: str
    kind: Literal["channel", "spatial"] = "channel"
    sigmoid: bool = False


_GATES = {
    "torchvision.ops.misc.SqueezeExcitation": _Gate("scale_activation"),
    "timm.layers.squeeze_excite.SEModule": _Gate("gate"),
    "timm.layers.squeeze_excite.SqueezeExciteCl": _Gate("gate"),
    "timm.layers.squeeze_excite.EffectiveSEModule": _Gate("gate"),
    "timm.models._efficientnet_blocks.SqueezeExcite": _Gate("gate"),
    "timm.layers.cbam.ChannelAttn": _Gate("gate"),
    "timm.layers.cbam.LightChannelAttn": _Gate("fc2", sigmoid=True),
    "timm.layers.cbam.SpatialAttn": _Gate("gate", "spatial"),
    "timm.layers.cbam.LightSpatialAttn": _Gate("gate", "spatial"),
    "timm.layers.eca.EcaModule": _Gate("gate"),
    "timm.layers.eca.CecaModule": _Gate("gate"),
}
_PAIRS_OF_GATES = ("timm.layers.cbam.CbamModule", "timm.layers.cbam.LightCbamModule")


@dataclass(frozen=True)
class _Windows:
    """How a class cuts its input, (N, H, W, C) or tokens and their (H, W), into windows.

    Attributes:
        padded_first: Whether it pads before it shifts.
        small_unshifted: Whether a side that one window covers is not shifted.
    """

    padded_first: bool
    small_unshifted: bool = False


_WINDOWED = {
    "timm.models.swin_transformer.SwinTransformerBlock": _Windows(padded_first=False),
    "timm.models.swin_transformer_v2.SwinTransformerV2Block": _Windows(padded_first=False),
    "torchvision.models.swin_transformer.ShiftedWindowAttention": _Windows(padded_first=True, small_unshifted=True),
    "transformers.models.swin.modeling_swin.SwinLayer": _Windows(padded_first=True),
    "transformers.models.swinv2.modeling_swinv2.Swinv2Layer": _Windows(padded_first=True),
    "transformers.models.donut.modeling_donut_swin.DonutSwinLayer": _Windows(padded_first=True),
    "transformers.models.maskformer.modeling_maskformer_swin.MaskFormerSwinLayer": _Windows(padded_first=True),
}


@contextmanager
def collecting_gates(
    layers: Mapping[str, nn.Module], collector: MapCollector, kinds: Collection[str]
) -> Iterator[None]:
    """Collect the weights of channel and spatial gates, (N, C) and (N, 1, H, W), named after what computes them.

    Args:
        layers: Modules by name.
        collector: Takes the weights.
        kinds: Those wanted.
    """
    found: dict[str, tuple[str, _Gate]] = {}
    for name, module in layers.items():
        gate = _looked_up(module, _GATES)
        if gate is not None and gate.kind in kinds and not has_taps(module):
            parent = name.rpartition(".")[0]
            paired = parent in layers and _is_one_of(layers[parent], _PAIRS_OF_GATES)
            found[f"{name}.{gate.submodule}".lstrip(".")] = (parent if paired else name, gate)

    def listen(name: str, output: Any) -> None:
        block, gate = found[name]
        weights = output.sigmoid() if gate.sigmoid else output
        collector.add(name, block, gate.kind, weights.flatten(1) if gate.kind == "channel" else weights)

    with listening({name: layers[name] for name in found}, listen):
        yield


@contextmanager
def collecting_self_attention(layers: Mapping[str, nn.Module], collector: MapCollector) -> Iterator[None]:
    """Collect the weights of self-attention, (N, heads, queries, keys), named after the module that attends.

    Windows that are cut out of a map, as Swin's, are put back in their places: a pixel gives no weight to the pixels
    outside of its window, and its weights sum to less than one where the window reaches beyond the map. Attention
    inside of other pieces of an image, and attention between channels, is left out: the collector has its name.

    Args:
        layers: Modules by name.
        collector: Takes the weights.

    Raises:
        ValueError: If the weights would take too much memory.
    """

    def see(call: AttentionCall) -> None:
        name, shape = call.running[-1].name, call.shape
        windowed = [one for one in call.running if _looked_up(one.module, _WINDOWED) is not None]
        if windowed:
            height, width = windowed[-1].map_size or windowed[-1].input_shape[1:3]
            collector.reserve(name, (collector.batch, shape[1], height * width, height * width))
            places = _window_places(windowed[-1].module, height, width)
            spread = _spread_windows(call.weights(), places, height * width)
            collector.add(name, name, "affinity", spread, grid=(height, width))
        elif attends_in_whole_images(call, collector.batch):
            collector.reserve(name, shape)
            weights = call.weights()
            heads = weights if weights.ndim == 4 else weights[:, None]
            collector.add(name, name, "affinity", heads, grid=None)
        else:
            collector.leave_out(name)

    with watching_attention(layers, see, lose=collector.leave_out):
        yield


def attends_in_whole_images(call: AttentionCall, batch: int) -> bool:
    """Whether weights are (N, heads, queries, keys) or (N, queries, keys), and not between channels.

    Channels attend to each other, as in XCiT and EdgeNeXt, where the queries of all heads are as many as the channels
    of what the module took, and have a number for each of its places.

    Args:
        call: What attends.
        batch: N.
    """
    shape = call.shape
    if len(shape) not in (3, 4) or shape[0] != batch:
        return False
    queries, heads = shape[-2], shape[1] if len(shape) == 4 else 1
    before = call.running[-1].input_shape[1:]
    layouts = [(before[-1], math.prod(before[:-1]))] if len(before) > 1 else []  # channels and places
    if len(before) == 3:
        layouts.append((before[0], math.prod(before[1:])))
    return queries == call.depth or (heads * queries, call.depth) not in layouts


def _window_places(module: Any, height: int, width: int) -> Int[Tensor, "windows area"]:
    """For every pixel of every window its place in the map, or height × width where it lies beyond."""
    windows: _Windows = _looked_up(module, _WINDOWED)
    window, shift = _pair(module.window_size), _pair(module.shift_size)
    beyond = [-side % step for side, step in zip((height, width), window, strict=True)]
    places = torch.arange(height * width).view(height, width)

    def pad(places: Tensor) -> Tensor:
        return F.pad(places, (0, beyond[1], 0, beyond[0]), value=height * width)

    if windows.padded_first:
        places = pad(places)
        if windows.small_unshifted:
            shift = tuple(0 if step >= side else by for by, step, side in zip(shift, window, places.shape, strict=True))
        places = places.roll((-shift[0], -shift[1]), (0, 1))
    else:
        places = pad(places.roll((-shift[0], -shift[1]), (0, 1)))
    return places.unfold(0, window[0], window[0]).unfold(1, window[1], window[1]).flatten(2).flatten(0, 1)


def _pair(size: int | Sequence[int]) -> tuple[int, ...]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _spread_windows(
    weights: Float[Tensor, "all_windows heads area area"], places: Int[Tensor, "windows area"], pixels: int
) -> Float[Tensor, "batch heads pixels pixels"]:
    """The weights of windows at their places in the whole map, zero elsewhere."""
    places = places.to(weights.device)
    by_image = weights.unflatten(0, (-1, len(places))).transpose(1, 2)  # (N, heads, windows, area, area)
    spread = weights.new_zeros(by_image.shape[0], by_image.shape[1], pixels + 1, pixels + 1)
    spread[:, :, places[:, :, None], places[:, None, :]] = by_image
    return spread[:, :, :pixels, :pixels]


def _looked_up(module: nn.Module, table: Mapping[str, Any]) -> Any:
    """What a table says of a module's class, or of the nearest class that it inherits from."""
    for kind in type(module).__mro__:
        found = table.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return None


def _is_one_of(module: nn.Module, classes: Collection[str]) -> bool:
    return any(f"{kind.__module__}.{kind.__qualname__}" in classes for kind in type(module).__mro__)
