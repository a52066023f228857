"""Whether gradients reach the tensors that losses depend on: what is merged or detached gets none, without a word."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from gradscape.landscape.engine.blocks import Block, map_tensors
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.engine.task import Task
from gradscape.landscape.movable import bare_name

__all__ = ["check_precise", "check_reached", "wave"]

_IMAGES = 2
_ROUGH = (torch.float16, torch.bfloat16)


def check_precise(model: nn.Module) -> None:
    """Refuse a model in half precision: of small changes and second derivatives it leaves little but rounding.

    Raises:
        ValueError: A parameter is in half precision.
    """
    for name, one in model.named_parameters():
        if one.dtype in _ROUGH:
            kind = str(one.dtype).removeprefix("torch.")
            raise ValueError(
                f"`model` must be in float32 or float64, but {bare_name(name)} is in {kind}, whose rounding is as "
                "large as what is measured here: call `model.float()` before, and give images of that type"
            )


def check_reached(model: nn.Module, names: Iterable[str], block: Block, task: Task) -> None:
    """Refuse a model whose losses follow a tensor that no gradient reaches.

    Each tensor without a gradient is moved by itself. Where losses stay the same (an auxiliary head in `eval()`), its
    derivatives are 0 indeed.

    Args:
        model: Within `evaluable`, which puts back what is set here.
        names: Parameters that are to be differentiated by.
        block: The first images, on the model's device.
        task: Loss and forward pass.

    Raises:
        ValueError: Losses follow, but no gradient does; the message names the tensor.
    """
    part = block.part(0, min(block.count, _IMAGES))
    wanted = set(names)
    chosen = {name: one for name, one in model.named_parameters() if name in wanted and one.is_floating_point()}
    for one in chosen.values():
        one.requires_grad_()

    def losses() -> Tensor:
        inputs, labels = map_tensors(torch.clone, (part.inputs, part.labels))
        return task.loss(task.forward(model, inputs), labels)

    with torch.enable_grad():
        total = losses().sum()
        if not total.requires_grad:
            return  # nothing of it does, which whoever differentiates says
        found: Sequence[Tensor | None] = torch.autograd.grad(total, list(chosen.values()), allow_unused=True)
    unreached = [name for name, one in zip(chosen, found, strict=True) if one is None]
    for name in unreached:
        with moving(model, [{name: wave(chosen[name].detach())}]) as move_to, torch.no_grad():
            stays, moved = ((move_to([place]), losses())[1] for place in (0.0, 1.0))
        if not torch.equal(stays, moved):
            raise ValueError(
                f"`model` must let gradients reach its weights, but none reaches {bare_name(name)}, which its losses "
                "follow: its own `train()` or `eval()` may have merged it into another one, or its forward pass "
                "detaches it. Undo that, or leave it out by "
                f'`parameters`="{" ".join(f"!{bare_name(one)}" for one in unreached)}"'
            )


def wave(tensor: Tensor) -> Tensor:
    """A direction without chance and without zeros, as large as the tensor's own entries."""
    scale = tensor.double().square().mean().sqrt().item() or 1.0
    return (
        (scale * torch.cos(torch.arange(tensor.numel(), device=tensor.device) + 0.5)).reshape(tensor.shape).to(tensor)
    )
