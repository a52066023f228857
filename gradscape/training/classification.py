"""A classifier's training and test steps, for Lightning's Trainer."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from gradscape.training.augmentation import epoch_seed
from gradscape.training.recipes import Recipe

Batch = tuple[Float[Tensor, "_ 3 _ _"], Int[Tensor, " _"]] | list[Tensor]


class Classification(LightningModule):
    """Cross-entropy training of a network, and the sums its metrics are made of.

    Args:
        network: Takes normalized images, gives logits (N, classes).
        recipe: Optimizer and schedule.
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
        self.train_sums: list[Tensor] = []
        self.test_sums: list[Tensor] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Stochastic gradient descent over every parameter that is not frozen."""
        return torch.optim.SGD(
            [parameter for parameter in self.network.parameters() if parameter.requires_grad],
            lr=self.recipe.learning_rate,
            momentum=self.recipe.momentum,
            weight_decay=self.recipe.weight_decay,
        )

    def on_train_epoch_start(self) -> None:
        """Fix the learning rate and all that is random from (seed, epoch) alone, so that a resumed run is the same."""
        torch.manual_seed(epoch_seed(self.seed, self.current_epoch))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.current_epoch)
        self.train_sums.clear()
        self.test_sums.clear()

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Look at the labels while they are still on the CPU: on a GPU a wrong one ends the process."""
        labels = batch[1]
        self.label_range = int(labels.min()), int(labels.max())
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean cross-entropy of a batch."""
        losses, right = self._evaluate(batch)
        loss = losses.mean()
        if not torch.isfinite(loss):
            raise RuntimeError(
                f"the loss is {loss.item()} in epoch {self.current_epoch}, step {batch_idx} (both from 0); try a "
                f"`learning_rate` below {self.recipe.learning_rate:g}; the epochs before are kept"
            )
        self.train_sums.append(_sums(losses, right))
        self.log("loss", loss.detach(), prog_bar=True, logger=False)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Sum the loss and the right answers of a test batch."""
        self.test_sums.append(_sums(*self._evaluate(batch)))

    def scores(self) -> dict[str, float]:
        """Mean loss and accuracy of the epoch: of the training steps, and of the test images after them."""
        scores: dict[str, float] = {}
        for split, sums in (("train", self.train_sums), ("test", self.test_sums)):
            loss, right, count = torch.stack(sums).cpu().double().sum(0).tolist()
            scores |= {f"{split}_loss": loss / count, f"{split}_accuracy": right / count}
        return scores

    def _evaluate(self, batch: Batch) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
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
        losses = F.cross_entropy(logits.float(), labels, reduction="none")
        return losses, logits.detach().argmax(1).eq(labels).float()


def _sums(losses: Float[Tensor, " batch"], right: Float[Tensor, " batch"]) -> Float[Tensor, "3"]:
    return torch.stack([losses.detach().sum(), right.sum(), torch.ones_like(right).sum()])
