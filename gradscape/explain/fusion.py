"""Feature fusion of any attention block: the features before, the attention's part, and both together."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._left_as_before import left_as_before
from gradscape._names import unknown_name
from gradscape._provenance import current_versions
from gradscape._taps import Kind, Tap
from gradscape.explain.explainable import ForwardFunction, called_by, title_of
from gradscape.explain.features import as_array, listening, run_listened
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.inputs import Inputs
from gradscape.explain.target_layer import layer_names, named_layer

__all__ = ["fusion_maps", "list_blocks"]

Tapped = dict[Kind, Tensor]

# Where a block shows several kinds of attention, the first of these is what it adds or multiplies with.
_PARTS: tuple[Kind, ...] = ("part", "batch weights", "mask", "subspace", "channel", "spatial")
_ROUNDING = 0.03  # of bfloat16, with 8 bits, after a few operations


@left_as_before
def fusion_maps(
    model: nn.Module,
    images: Inputs,
    *,
    block: str | None = None,
    forward: ForwardFunction | None = None,
) -> FusionMaps:
    """Return what an attention block works on, what it adds or multiplies with, and what comes out.

    In a UPA block of UPANets these are the convolutions' output, channel pixel attention's, and their sum before its
    normalization. Elsewhere the attention's part is what is added to the features (non-local, double attention, global
    context) or the factor that they are multiplied with, one plus it where the block keeps its features besides (masks
    of residual attention learning, ULSAM's subspace maps). A factor is repeated over the channels and pixels that it
    serves, as the block does it. BA²M, which weighs images in training only, is shown as in training.

    The model is run once, in eval mode, and left as it was.

    Source: Tseng et al., "UPANets", 2021, arXiv:2103.08640, figures 1, 7 and 19.

    Args:
        model: A model of the zoo, or one with attention blocks of it.
        images: What the model takes: images (N, C, H, W), for figure 19 standard normal noise for the bare network; or
            a dict, list or tuple of tensors with N entries each, which `forward` hands to the model.
        block: The attention block's name, or that of a block with one in it, as in `layer2.0`. None for the first in
            the second stage, which figures 1, 7 and 19 of UPANets show, or the first of all if there is none.
        forward: (model, images) -> output, where the model takes more than images, or a dict:
            `forward=lambda model, batch: model(batch["image"])`.

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If the model has no such block, it does not run, or it replaces features instead of fusing them.

    Example:
        >>> import torch
        >>> from gradscape.models import create_model
        >>> net = create_model("resnet20+se", image_size=8)
        >>> maps = fusion_maps(net, torch.randn(2, 3, 8, 8))
        >>> maps.names, maps.fused.shape
        (('features', 'attention', 'result'), (2, 32, 4, 4))
    """
    model = called_by(model, forward)
    layers = layer_names(model)
    name = _find_block(model, layers, images, block)
    # An affinity is no part of the fusion, and blocks compute it only for those who listen.
    taps = {key: tap for key, tap in _taps_of(layers[name]).items() if tap.kind != "affinity"}
    shown: Tapped = {}

    def listen(key: str, output: Tensor) -> None:
        # Of two masks of one block the later one has the size of the features.
        shown[taps[key].kind] = output.detach().float().clone()

    with listening(taps, listen):
        run_listened(model, images)
    if "before" not in shown or "result" not in shown:
        raise ValueError(f"`block` {name} must run when the model does, but does not; choose another one")
    before, part, fused, formula = _fuse(name, shown)
    words = {tap.kind: tap.word for tap in taps.values()}
    part_word = next(words[kind] for kind in _PARTS if kind in words)
    return FusionMaps(
        as_array(before),
        as_array(part),
        as_array(fused),
        block=name,
        names=(words["before"], part_word, words["result"]),
        meta={"versions": current_versions(), "formula": formula, "class": type(layers[name]).__name__},
    )


@left_as_before
def list_blocks(model: nn.Module) -> list[str]:
    """Return the names of a model's blocks that `fusion_maps` may show, in the order of its modules.

    Args:
        model: Any model.
    """
    return [name for name, module in layer_names(model).items() if _fuses(module)]


def _taps_of(module: nn.Module) -> dict[str, Tap]:
    return {name: child for name, child in module.named_children() if isinstance(child, Tap)}


def _fuses(module: nn.Module) -> bool:
    kinds = {tap.kind for tap in _taps_of(module).values()}
    return {"before", "result"} <= kinds and not kinds.isdisjoint(_PARTS)


def _find_block(model: nn.Module, layers: Mapping[str, nn.Module], images: Inputs, asked: str | None) -> str:
    """The block asked for, by its own name or one that holds it alone, or the natural one."""
    blocks = [name for name, module in layers.items() if _fuses(module)]
    if not blocks:
        raise ValueError(
            f"`model` must have an attention block that adds to features or weighs them, but {title_of(model)} has "
            "none; gradscape models lists networks that have"
        )
    if asked is None:
        second = set(_second_stage(model))
        return next((name for name in blocks if layers[name] in second), blocks[0])
    name = asked if asked in layers else asked.removeprefix("network.")
    inside = [block for block in blocks if block == name or block.startswith(f"{name}.")]
    if len(inside) > 1 and name not in inside:
        raise ValueError(f"`block` must be one attention block, but {asked} holds {', '.join(inside)}; choose one")
    if not inside:
        raise unknown_name("block", asked, blocks)
    return inside[0]


def _second_stage(model: nn.Module) -> Iterator[nn.Module]:
    """Its modules, also of the backbone of a detector or segmenter; none of a network without stages."""
    for name in ("stages.1", "backbone.stages.1"):
        with suppress(ValueError):
            yield from named_layer(model, name)[1].modules()


def _fuse(name: str, shown: Tapped) -> tuple[Tensor, Tensor, Tensor, str]:
    """The three maps and how they belong together."""
    before, fused = shown["before"], shown["result"]
    if before.shape != fused.shape:
        raise ValueError(
            f"`block` {name} must give features of the shape that it takes, but makes {tuple(fused.shape)} of "
            f"{tuple(before.shape)}: it replaces features instead of fusing them; choose another one"
        )
    if "part" in shown:
        return before, shown["part"].expand_as(before), fused, "fused = before + part"
    factor = _factor(shown, before)
    if "batch weights" in shown:
        return before, factor, before * factor, "fused = before × part, in training"
    candidates = {
        "fused = before × part": before * factor,
        "fused = before × (1 + part)": before * (1 + factor),
    }
    distances = {formula: (fused - one).abs().max().item() for formula, one in candidates.items()}
    formula = min(distances, key=lambda one: distances[one])
    if distances[formula] > _ROUNDING * fused.abs().max().item():
        raise ValueError(f"`block` {name} must weigh the features that it takes, but mixes them; choose another one")
    return before, factor, fused, formula


def _factor(shown: Tapped, features: Tensor) -> Tensor:
    """What the features are multiplied with, (N, C, H, W): where a block has several factors, all of them."""
    if "batch weights" in shown:
        return shown["batch weights"].view(-1, 1, 1, 1).expand_as(features)
    if "mask" in shown:
        return F.interpolate(shown["mask"], size=features.shape[2:])
    if "subspace" in shown:
        return shown["subspace"].repeat_interleave(features.shape[1] // shown["subspace"].shape[1], 1)
    factor = torch.ones_like(features)
    if "channel" in shown:
        factor = factor * shown["channel"].reshape(*features.shape[:2], 1, 1)
    return factor * shown["spatial"] if "spatial" in shown else factor
