"""A classifier's training and test steps, for Lightning's Trainer."""

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._image_losses import cross_entropy_of, focal_of
from gradscape.training.recipe import Recipe
from gradscape.training.supervised import SupervisedTraining, TrainingBatch

__all__ = ["Classification"]

_BEST = 5  # answers, among which the right one always is where there are no more classes


@final
class Classification(SupervisedTraining):
    """Training of a network that gives logits (N, classes), and the sums its metrics are made of."""

    score: ClassVar[str] = "test_accuracy"

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, mean: Sequence[float], std: Sequence[float], seed: int
    ) -> None:
        super().__init__(network, recipe, mean=mean, std=std, seed=seed)
        self.label_range = 0, 0
        self.sums: dict[str, list[Tensor]] = {}

    def begin_scores(self) -> None:
        """Forget the sums of the epoch before."""
        self.sums = {}

    def on_before_batch_transfer(self, batch: TrainingBatch, dataloader_idx: int) -> TrainingBatch:
        """Look at the labels while they are still on the CPU: on a GPU a wrong one ends the process."""
        labels = batch[1]
        self.label_range = int(labels.min()), int(labels.max())
        return batch

    def losses_of(self, batch: TrainingBatch) -> Float[Tensor, " batch"]:
        """The loss of each image of a training batch, which is added to the sums."""
        losses, right = self._evaluate(batch)
        self._add("train", losses, right)
        return losses

    def validation_step(self, batch: TrainingBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Sum the loss and the right answers of a batch: of test images, or (loader 1) of those held out."""
        self._add("validation" if dataloader_idx else "test", *self._evaluate(batch, top5=True))

    def scores(self) -> dict[str, float]:
        """Mean loss and accuracy of the epoch: of the training steps, and of the evaluated images after them.

        Of these the top-5 accuracy too, where there are more than five classes.
        """
        scores: dict[str, float] = {}
        for split, sums in self.sums.items():
            count, loss, *right = torch.stack(sums).cpu().double().sum(0).tolist()
            found = zip(("loss", "accuracy", "top5_accuracy"), (loss, *right), strict=False)
            scores |= {f"{split}_{name}": value / count for name, value in found}
        return scores

    def _add(self, split: str, losses: Float[Tensor, " batch"], right: Float[Tensor, "batch ranks"]) -> None:
        sums = torch.cat([losses.new_full((1,), len(losses)), losses.detach().sum(0, keepdim=True), right.sum(0)])
        self.sums.setdefault(split, []).append(sums)

    def _evaluate(
        self, batch: TrainingBatch, *, top5: bool = False
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch ranks"]]:
        images, labels = batch
        logits = self.network(self.normalized(images))
        if logits.ndim != 2 or len(logits) != len(images):
            raise ValueError(f"`network` must give logits ({len(images)}, classes), but gave {tuple(logits.shape)}")
        low, high = self.label_range
        if low < 0 or high >= logits.shape[1]:
            raise ValueError(
                f"labels must lie in 0 … {logits.shape[1] - 1}, for `network` knows {logits.shape[1]} classes, "
                f"but came as {low} … {high}; make a network for this data"
            )
        losses = (focal_of if self.recipe.loss == "focal" else cross_entropy_of)(logits.float(), labels)
        return losses, _right(logits.detach(), labels, top5=top5)


def _right(logits: Tensor, labels: Tensor, *, top5: bool) -> Float[Tensor, "batch ranks"]:
    """Whether the right class comes first and, in a second column, among the first five; not if one is not finite."""
    ranks = [logits.argmax(1).eq(labels)]
    if top5 and logits.shape[1] > _BEST:
        ranks.append(logits.topk(_BEST).indices.eq(labels[:, None]).any(1))
    return (torch.stack(ranks, 1) & logits.isfinite().all(1, keepdim=True)).float()
