"""Modules that torch.jit or torch.export made ahead, perhaps for one number of images."""

import torch
from torch import fx, nn

from gradscape.landscape.engine.blocks import Block
from gradscape.landscape.engine.task import ForwardFunction

__all__ = ["check_premade"]


def check_premade(model: nn.Module, block: Block, forward: ForwardFunction) -> None:
    """Refuse a module that was made ahead for one number of images, which an evaluation does not keep to.

    Args:
        model: In `eval()`.
        block: The first images, on the model's device.
        forward: (model, inputs) -> output.

    Raises:
        ValueError: It takes no other number of images.
    """
    if not any(isinstance(module, (torch.jit.ScriptModule, fx.GraphModule)) for module in model.modules()):
        return
    for count in {block.count, (block.count + 1) // 2}:
        try:
            forward(model, block.part(0, count).inputs)
        except Exception as problem:
            raise ValueError(
                f"`model` must take any number of images, but made ahead by torch.jit or torch.export it does not take "
                f"{count}: give the network that it was made from, or export it with a dynamic number "
                "(`dynamic_shapes`)"
            ) from problem
