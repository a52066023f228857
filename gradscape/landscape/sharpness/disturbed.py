"""A network away from its weights: losses of images there, and their gradient."""

from typing import final

import torch
from torch import Tensor, nn

from gradscape._profile import spent_on
from gradscape.landscape.directions import Direction, gaussian
from gradscape.landscape.engine import Block, Task
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.engine.task import per_image
from gradscape.landscape.movable import bare_name

__all__ = ["DisturbedNetwork"]


@final
class DisturbedNetwork:
    """Losses at w + change, for flat changes of the chosen parameters.

    Args:
        model: Within `evaluable`, which puts back what is set here.
        names: Parameters that change.
        task: Loss and forward pass.
        batch_size: Images in a forward pass.

    Attributes:
        sizes: |w| of every chosen weight, flat.

    Raises:
        ValueError: A chosen parameter is complex.
    """

    def __init__(self, model: nn.Module, names: set[str], task: Task, *, batch_size: int) -> None:
        self._model, self._task, self._batch_size = model, task, batch_size
        self._chosen = {name: one for name, one in model.named_parameters() if name in names}
        if wrong := [name for name, one in self._chosen.items() if not one.is_floating_point()]:
            raise ValueError(f"`parameters` must be real numbers, but {bare_name(wrong[0])} holds other ones")
        for name, parameter in model.named_parameters():
            if parameter.is_floating_point() or parameter.is_complex():
                parameter.requires_grad_(name in self._chosen)
        self.sizes = self._flat([one.detach() for one in self._chosen.values()]).abs()

    @property
    def names(self) -> list[str]:
        """Names of the parameters that change, in the order in which they lie side by side."""
        return list(self._chosen)

    def draw(self, seed: int, number: int) -> Tensor:
        """Standard normal numbers, one a weight, from (seed, number, names): the same for every block of images."""
        drawn = [gaussian(one.detach(), seed, f"sharpness {number}", name) for name, one in self._chosen.items()]
        return self._flat(drawn).to(self.sizes.dtype)

    @spent_on("points")
    def losses(self, block: Block, change: Tensor | None = None) -> Tensor:
        """Loss of each image at w + change, (count,) float64."""
        with moving(self._model, [self._direction(change)]) as move_to:
            move_to([1.0])
            return torch.cat([self._losses(part).detach() for part in self._parts(block)])

    @spent_on("points")
    def gradient(self, block: Block, change: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same, and the gradient of their mean there, flat."""
        total, losses = torch.zeros_like(self.sizes), []
        with moving(self._model, [self._direction(change)]) as move_to, torch.enable_grad():
            move_to([1.0])
            for part in self._parts(block):
                found = self._losses(part)
                losses.append(found.detach())
                total += self._flat(self._gradients(found.sum() / block.count))
        return torch.cat(losses), total

    def _gradients(self, loss: Tensor) -> list[Tensor]:
        parameters = list(self._chosen.values())
        if not loss.requires_grad:
            raise ValueError(
                "`loss` must be differentiable in the parameters, but nothing of it depends on them: does it detach "
                "the output, or does `forward` run without gradients?"
            )
        return list(torch.autograd.grad(loss, parameters, materialize_grads=True))

    def _losses(self, part: Block) -> Tensor:
        output = self._task.forward(self._model, part.inputs)
        losses = per_image(self._task.loss(output, part.labels), part.count, "loss").double()
        return losses / self._task.mean_weight

    def _parts(self, block: Block) -> list[Block]:
        device = self.sizes.device
        starts = range(0, block.count, self._batch_size)
        return [block.part(one, min(one + self._batch_size, block.count)).to(device) for one in starts]

    def _direction(self, change: Tensor | None) -> Direction:
        if change is None:
            return {}
        parts = change.split([one.numel() for one in self._chosen.values()])
        return {
            name: part.reshape(one.shape).to(one.dtype)
            for (name, one), part in zip(self._chosen.items(), parts, strict=True)
        }

    @staticmethod
    def _flat(tensors: list[Tensor]) -> Tensor:
        return torch.cat([tensor.reshape(-1) for tensor in tensors])
