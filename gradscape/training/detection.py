"""A detector's training and test steps, for Lightning's Trainer."""

from collections.abc import Sequence
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._average_precision import measure_average_precision
from gradscape.training.recipe import Recipe
from gradscape.training.supervised import SupervisedTraining, TrainingBatch

__all__ = ["Detection"]


@final
class Detection(SupervisedTraining):
    """Training of a network that gives the losses of its pictures by name, and finds boxes in test pictures.

    A picture's loss is the sum of its losses; scores are the means of these, and the average precision in test
    pictures.
    """

    score: ClassVar[str] = "test_ap50"

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, mean: Sequence[float], std: Sequence[float], seed: int
    ) -> None:
        super().__init__(network, recipe, mean=mean, std=std, seed=seed)
        self.losses: dict[str, list[Tensor]] = {}
        self.found: dict[str, list[tuple[Any, Any]]] = {}

    def begin_scores(self) -> None:
        """Forget losses and boxes of the epoch before."""
        self.losses, self.found = {}, {}

    def losses_of(self, batch: TrainingBatch) -> Float[Tensor, " batch"]:
        """The sum of losses of each picture of a training batch."""
        losses = self._losses(batch)
        self.losses.setdefault("train", []).append(losses.detach())
        return losses

    def validation_step(self, batch: TrainingBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Keep losses and boxes of a batch of test pictures, or (loader 1) of those held out."""
        split = "validation" if dataloader_idx else "test"
        self.losses.setdefault(split, []).append(self._losses(batch))
        images, targets = batch
        found = [{name: one.cpu() for name, one in each.items()} for each in self.network(self.normalized(images))]
        self.found.setdefault(split, []).append((found, {name: one.cpu() for name, one in targets.items()}))

    def scores(self) -> dict[str, float]:
        """Mean loss of the training steps and of test pictures, and these pictures' AP and AP50."""
        scores = {f"{split}_loss": float(torch.cat(losses).double().mean()) for split, losses in self.losses.items()}
        for split, found in self.found.items():
            precision = measure_average_precision(found, classes=_numbers(found))
            scores |= {f"{split}_ap": precision.ap, f"{split}_ap50": precision.ap50}
        return scores

    def _losses(self, batch: TrainingBatch) -> Float[Tensor, " batch"]:
        images, targets = batch
        losses: Any = self.network.losses
        return torch.stack(list(losses(self.normalized(images), targets).values())).sum(0)


def _numbers(found: list[tuple[Any, Any]]) -> list[str]:
    """Names for all classes that are annotated or found: how many the network knows it does not tell."""
    classes = [one["classes"].flatten() for outputs, targets in found for one in (targets, *outputs)]
    return [str(number) for number in range(max(1, int(torch.cat(classes).max()) + 1))]
