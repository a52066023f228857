"""Attention of other libraries' networks: the gates and the self-attention of torchvision, timm and plain torch.

Gates (squeeze-and-excitation, CBAM, ECA) are known by their classes. Self-attention is seen where it calls torch, in
`scaled_dot_product_attention` and `multi_head_attention_forward`, which hand their weights to nobody: they are computed
once more from the same queries, keys and masks. So any network that attends by these functions shows its weights, with
whatever it does to its queries and keys before.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gradscape._taps import Tap
from gradscape.explain.attention_map import AttentionMap, MapCollector
from gradscape.explain.features import listening

__all__ = ["attention_rollout", "collecting_gates", "collecting_self_attention"]


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

# Self-attention that also goes without the fused function: its softmax gives the weights.
_SELF_ATTENTION = (
    "timm.layers.attention.Attention",
    "timm.layers.attention.AttentionRope",
    "timm.models.beit.Attention",
    "timm.models.eva.EvaAttention",
    "timm.models.swin_transformer.WindowAttention",
    "timm.models.swin_transformer_v2.WindowAttention",
    "torchvision.models.swin_transformer.ShiftedWindowAttention",
)

# What cuts its input, (N, H, W, C), into windows. Timm shifts before it pads, torchvision pads before it shifts.
_WINDOWED = {
    "timm.models.swin_transformer.SwinTransformerBlock": False,
    "timm.models.swin_transformer_v2.SwinTransformerV2Block": False,
    "torchvision.models.swin_transformer.ShiftedWindowAttention": True,
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
        if gate is not None and gate.kind in kinds and not _has_taps(module):
            parent = name.rpartition(".")[0]
            paired = parent in layers and _is_one_of(layers[parent], _PAIRS_OF_GATES)
            found[f"{name}.{gate.submodule}".lstrip(".")] = (parent if paired else name, gate)

    def listen(name: str, output: Any) -> None:
        block, gate = found[name]
        weights = output.sigmoid() if gate.sigmoid else output
        collector.add(name, block, gate.kind, weights.flatten(1) if gate.kind == "channel" else weights)

    with listening({name: layers[name] for name in found}, listen):
        yield


@dataclass(frozen=True)
class _Running:
    """A module between its begin and its end."""

    name: str
    module: nn.Module
    input_shape: tuple[int, ...]


@contextmanager
def collecting_self_attention(layers: Mapping[str, nn.Module], collector: MapCollector) -> Iterator[None]:
    """Collect the weights of self-attention, (N, heads, queries, keys), named after the module that attends.

    Windows that are cut out of a map, as Swin's, are put back in their places: a pixel gives no weight to the pixels
    outside of its window, and its weights sum to less than one where the window reaches beyond the map. Attention
    inside of other pieces of an image is left out.

    Args:
        layers: Modules by name.
        collector: Takes the weights.

    Raises:
        ValueError: If the weights would take too much memory.
    """
    running: list[_Running] = []
    hooks = []

    def beginner(name: str) -> Any:
        def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            shape = tuple(inputs[0].shape) if inputs and isinstance(inputs[0], Tensor) else ()
            running.append(_Running(name, module, shape))

        return begin

    def end(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        running.pop()

    try:
        for name, module in layers.items():
            hooks.append(module.register_forward_pre_hook(beginner(name)))
            hooks.append(module.register_forward_hook(end, always_call=True))
        with _AttentionSeen(running, collector):
            yield
    finally:
        for hook in hooks:
            hook.remove()


class _AttentionSeen(TorchFunctionMode):
    """Sees every call of a torch function, and computes the weights of those that attend."""

    def __init__(self, running: list[_Running], collector: MapCollector) -> None:
        super().__init__()
        self.running, self.collector = running, collector

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if not self.running or _has_taps(self.running[-1].module):
            return output
        if func is F.scaled_dot_product_attention:
            self._collect(self.running[-1].name, lambda: _dot_product_weights(*args, **kwargs), _shape(*args, **kwargs))
        elif func is F.multi_head_attention_forward:
            asked = {**kwargs, "need_weights": True, "average_attn_weights": False, "training": False}
            weights = func(*args, **asked)[1]
            assert weights is not None
            self._collect(self.running[-1].name, lambda: weights, weights.shape)
        elif func in (F.softmax, torch.softmax, Tensor.softmax):
            owners = [one.name for one in self.running if _is_one_of(one.module, _SELF_ATTENTION)]
            if owners:
                self._collect(owners[-1], lambda: output, output.shape)
        return output

    def _collect(self, name: str, weights: Any, shape: tuple[int, ...]) -> None:
        """Add weights of this shape, computed only if they are wanted."""
        if len(shape) != 4:
            return
        windowed = [one for one in self.running if _looked_up(one.module, _WINDOWED) is not None]
        if windowed:
            height, width = windowed[-1].input_shape[1:3]
            self.collector.reserve(name, (self.collector.batch, shape[1], height * width, height * width))
            spread = _spread_windows(weights(), _window_places(windowed[-1].module, height, width), height * width)
            self.collector.add(name, name, "affinity", spread, grid=(height, width))
        elif shape[0] == self.collector.batch:
            self.collector.reserve(name, shape)
            self.collector.add(name, name, "affinity", weights(), grid=None)


def _shape(query: Tensor, key: Tensor, *_: Any, **__: Any) -> tuple[int, ...]:
    return (*query.shape[:-1], key.shape[-2])


def _dot_product_weights(
    query: Float[Tensor, "*batch heads queries depth"],
    key: Float[Tensor, "*batch key_heads keys depth"],
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001 (torch's signature)
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: FBT001
) -> Float[Tensor, "*batch heads queries keys"]:
    """The weights inside of `scaled_dot_product_attention`, whose arguments these are."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)


def _window_places(module: Any, height: int, width: int) -> Int[Tensor, "windows area"]:
    """For every pixel of every window its place in the map, or height × width where it lies beyond."""
    window, shift = tuple(module.window_size), tuple(module.shift_size)
    beyond = [-side % step for side, step in zip((height, width), window, strict=True)]
    places = torch.arange(height * width).view(height, width)

    def pad(places: Tensor) -> Tensor:
        return F.pad(places, (0, beyond[1], 0, beyond[0]), value=height * width)

    if _looked_up(module, _WINDOWED):
        places = pad(places)
        shift = tuple(0 if step >= side else by for by, step, side in zip(shift, window, places.shape, strict=True))
        places = places.roll((-shift[0], -shift[1]), (0, 1))
    else:
        places = pad(places.roll((-shift[0], -shift[1]), (0, 1)))
    return places.unfold(0, window[0], window[0]).unfold(1, window[1], window[1]).flatten(2).flatten(0, 1)


def _spread_windows(
    weights: Float[Tensor, "all_windows heads area area"], places: Int[Tensor, "windows area"], pixels: int
) -> Float[Tensor, "batch heads pixels pixels"]:
    """The weights of windows at their places in the whole map, zero elsewhere."""
    places = places.to(weights.device)
    by_image = weights.unflatten(0, (-1, len(places))).transpose(1, 2)  # (N, heads, windows, area, area)
    spread = weights.new_zeros(by_image.shape[0], by_image.shape[1], pixels + 1, pixels + 1)
    spread[:, :, places[:, :, None], places[:, None, :]] = by_image
    return spread[:, :, :pixels, :pixels]


def attention_rollout(maps: Mapping[str, AttentionMap]) -> np.ndarray:
    """Return how much of each patch of an image arrives at the class token, through all blocks of a transformer.

    With A the mean of a block's weights over its heads, and the identity for its shortcut::

        rollout = Â_L … Â_2 Â_1        Â = (A + I), every row divided by its sum

    Of it the first token's row is shown at the patches, or where there is no class token the mean of all rows, since
    the patches are averaged then.

    Source: Abnar and Zuidema, "Quantifying Attention Flow in Transformers", 2020, arXiv:2005.00928, section 3.

    Args:
        maps: What `attention_maps` gave; the affinities count, in their order.

    Returns:
        (N, h, w) float32, the patches' shares; together with those of the class token and other tokens they sum to one.

    Raises:
        ValueError: If there is no affinity, or they are not all between the same tokens, whose patches form a grid.
    """
    affinities = [one for one in maps.values() if one.kind == "affinity"]
    if not affinities:
        raise ValueError("`maps` must hold affinities of self-attention, but holds none; take them of a transformer")
    first = affinities[0]
    tokens = first.values.shape[-1]
    for one in affinities:
        if one.values.shape[-2:] != (tokens, tokens) or one.grid is None or one.grid != first.grid:
            raise ValueError(
                f"`maps` must hold affinities between the same tokens in all blocks, laid out as a grid; {one.name} is "
                f"{one.values.shape[-2]} × {one.values.shape[-1]} with the grid {one.grid}, {first.name} is "
                f"{first.values.shape[-2]} × {tokens} with {first.grid}"
            )
    assert first.grid is not None
    rollout = np.eye(tokens)
    for one in affinities:
        mixed = one.values.astype(np.float64).mean(1) + np.eye(tokens)
        rollout = mixed / mixed.sum(-1, keepdims=True) @ rollout
    patches = first.grid[0] * first.grid[1]
    row = rollout[:, 0] if patches < tokens else rollout.mean(1)
    return row[:, -patches:].reshape(-1, *first.grid).astype(np.float32)


def _looked_up(module: nn.Module, table: Mapping[str, Any]) -> Any:
    """What a table says of a module's class, or of the nearest class that it inherits from."""
    for kind in type(module).__mro__:
        found = table.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return None


def _is_one_of(module: nn.Module, classes: Collection[str]) -> bool:
    return any(f"{kind.__module__}.{kind.__qualname__}" in classes for kind in type(module).__mro__)


def _has_taps(module: nn.Module) -> bool:
    return any(isinstance(child, Tap) for child in module.children())
