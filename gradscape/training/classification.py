"""A classifier's training and test steps, for Lightning's Trainer."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from gradscape._image_losses import cross_entropy_of, focal_of
from gradscape.training.augmentation import epoch_seed
from gradscape.training.recipe import Recipe

__all__ = ["Classification", "TrainingBatch"]

# Keras' own. It adds epsilon before the moments are freed of their bias, torch after: a matter of epsilon's size only.
_EPSILON, _SECOND_MOMENT = 1e-7, 0.999
_BEST = 5  # answers, among which the right one always is where there are no more classes

TrainingBatch = tuple[Float[Tensor, "_ 3 _ _"], Int[Tensor, " _"]] | list[Tensor]


class Classification(LightningModule):
    """Training of a network by its recipe's loss, and the sums its metrics are made of.

    Args:
        network: Takes normalized images, gives logits (N, classes).
        recipe: Optimizer, schedule and loss.
        mean: Of each channel, subtracted from the images.
        std: Of each channel, which the images are divided by.
        seed: Of the run.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, mean: Sequence[float], std: Sequence[float], seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.seed = seed
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.label_range = 0, 0
        self.sums: dict[str, list[Tensor]] = {}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The recipe's optimizer over every parameter that is not frozen."""
        recipe = self.recipe
        parameters = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        rate, decay = recipe.learning_rate_at(0), recipe.weight_decay
        if recipe.optimizer == "adam":
            moments = recipe.momentum, _SECOND_MOMENT
            return torch.optim.Adam(parameters, rate, moments, eps=_EPSILON, weight_decay=decay)
        return torch.optim.SGD(parameters, rate, recipe.momentum, weight_decay=decay, nesterov=recipe.nesterov)

    def on_train_epoch_start(self) -> None:
        """Fix all that is random from (seed, epoch) alone, so that a resumed run is the same."""
        torch.manual_seed(epoch_seed(self.seed, self.current_epoch))
        self.sums = {}

    def on_train_batch_start(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Set the step's learning rate."""
        step = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.current_epoch, step)

    def on_before_batch_transfer(self, batch: TrainingBatch, dataloader_idx: int) -> TrainingBatch:
        """Look at the labels while they are still on the CPU: on a GPU a wrong one ends the process."""
        labels = batch[1]
        self.label_range = int(labels.min()), int(labels.max())
        return batch

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """The loss of a batch: the mean of its images, for "ohem" that of its hardest half."""
        losses, right = self._evaluate(batch)
        hardest = losses.topk(-(-len(losses) // 2)).values if self.recipe.loss == "ohem" else losses
        loss = hardest.mean()
        if not torch.isfinite(loss):
            raise RuntimeError(
                f"the loss is {loss.item()} in epoch {self.current_epoch + 1}, step {batch_idx + 1}; try a "
                f"`learning_rate` below {self.recipe.learning_rate:g}; the epochs before are kept"
            )
        self._add("train", losses, right)
        self.log("loss", loss.detach(), prog_bar=True, logger=False)
        return loss

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
        logits = self.network((images - self.mean) / self.std)
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
