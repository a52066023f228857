"""Taps: named places in a network where an attention block shows what it attends to, its attention, and its result."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

from torch import Tensor, nn

__all__ = ["Kind", "Tap", "binds_images", "check_images_apart", "collected_taps", "find_taps"]

Kind = Literal[
    "before",
    "channel",
    "spatial",
    "mask",
    "scale weights",
    "batch weights",
    "subspace",
    "affinity",
    "part",
    "result",
]

_WORDS: dict[Kind, str] = {"before": "features", "result": "result"}  # anything else is attention


class Tap(nn.Identity):
    """Passes a tensor on unchanged, where anyone may listen to it.

    It has neither parameters nor buffers, so that a state dict does not know of it. An attention block holds one tap
    for each tensor that it shows; their common parent is the block, and the kinds say what is what:

    - "before": the features that the attention works on, (N, C, H, W);
    - "channel": a weight for each channel, (N, C), (N, C, 1, 1), or a matrix (out, in) that mixes channels;
    - "spatial": weights over the pixels, the same for all channels, (N, 1, H, W) or (1, 1, H, W);
    - "mask": a weight for each channel and pixel, (N, C, H, W) or at a coarser size;
    - "scale weights": a learned weight for each scale of a pyramid, (scales,);
    - "batch weights": a weight for each image of the batch, (N,);
    - "subspace": a map for each group of channels, (N, groups, H, W), every one summing to one;
    - "affinity": how much each pixel looks at each other one, (N, groups, H·W, H·W), rows summing to one;
    - "part": what the attention adds, of the shape of the result;
    - "result": the features with their attention, (N, C, H, W), or (N, C) where attention pools the pixels.

    Args:
        kind: One of these.
        word: What the block's paper calls what passes; None for "features" (before), "result" or "attention".
    """

    def __init__(self, kind: Kind, *, word: str | None = None) -> None:
        super().__init__()
        self.kind: Kind = kind
        self.word = _WORDS.get(kind, "attention") if word is None else word

    @property
    def observed(self) -> bool:
        """Whether anyone listens: what nothing else needs is computed only then."""
        return bool(self._forward_hooks)

    def extra_repr(self) -> str:
        """What `print(network)` shows."""
        return self.kind


def find_taps(model: nn.Module, kinds: Collection[Kind] | None = None) -> dict[str, Tap]:
    """Return a model's taps by module name, in the order of its modules.

    Args:
        model: Any module.
        kinds: The kinds wanted; None for all.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, Tap) and (kinds is None or module.kind in kinds)
    }


@contextmanager
def collected_taps(model: nn.Module, kinds: Collection[Kind] | None = None) -> Iterator[dict[str, list[Tensor]]]:
    """Collect what passes through a model's taps: name -> one tensor, detached, for each forward pass.

    Args:
        model: Any module; on leaving, nobody listens any more.
        kinds: The kinds wanted; None for all.
    """
    taps = find_taps(model, kinds)
    collected: dict[str, list[Tensor]] = {name: [] for name in taps}

    def listener(name: str) -> Any:
        def listen(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            collected[name].append(output.detach())

        return listen

    with ExitStack() as hooks:
        for name, tap in taps.items():
            hooks.callback(tap.register_forward_hook(listener(name)).remove)
        yield collected


def binds_images(model: nn.Module) -> bool:
    """Whether attention over the batch acts in evaluation, so that an image's output depends on the others there.

    A block that can weigh images against each other has a tap of "batch weights", and `binds_images` says whether it
    does in evaluation.

    Args:
        model: Any module.
    """
    return bool(_binding_blocks(model))


def check_images_apart(model: nn.Module) -> None:
    """Refuse a network of which `binds_images`, by the names of its blocks.

    Args:
        model: Any module, from which each image's own output is wanted.

    Raises:
        ValueError: An image's output depends on the others of its batch.
    """
    if bound := _binding_blocks(model):
        others = f" and {len(bound) - 1} more weigh" if len(bound) > 1 else " weighs"
        first = bound[0].removeprefix("network.") or type(model).__name__
        raise ValueError(
            f"`model` must judge each image by itself, but {first}{others} the images of a batch "
            "against each other in evaluation too; take the network without `evaluation=batch`"
        )


def _binding_blocks(model: nn.Module) -> list[str]:
    blocks = [name.rpartition(".")[0] for name in find_taps(model, {"batch weights"})]
    return [name for name in blocks if getattr(model.get_submodule(name), "binds_images", False)]
