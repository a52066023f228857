"""What trainings of every kind have in common, for Lightning's Trainer."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from gradscape.training.augmentation import epoch_seed
from gradscape.training.recipe import Recipe

__all__ = ["SupervisedTraining", "TrainingBatch"]

TrainingBatch = tuple[Float[Tensor, "_ 3 _ _"], Any] | list[Any]
"""Images, and their classes, boxes or pixels."""

# Keras' own. It adds epsilon before the moments are freed of their bias, torch after: a matter of epsilon's size only.
_EPSILON, _SECOND_MOMENT = 1e-7, 0.999


class SupervisedTraining(LightningModule):
    """Training of a network by its recipe's optimizer and schedule; abstract.

    A subclass gives the losses of a training batch and sees the test batches, and keeps of both what `scores` needs.

    Args:
        network: Takes normalized images.
        recipe: Optimizer, schedule and loss.
        mean: Of each channel, subtracted from the images.
        std: Of each channel, which the images are divided by.
        seed: Of the run.
    """

    score: ClassVar[str]
    """Which of the scores says how good a network is: in [0, 1], the higher the better."""

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

    @property
    def stopping_score(self) -> str:
        """The score that early stopping waits for."""
        asked = self.recipe.early_stopping_metric
        return self.score if asked == "test_accuracy" else asked

    @abstractmethod
    def begin_scores(self) -> None:
        """Forget what was kept of the epoch before."""

    @abstractmethod
    def scores(self) -> dict[str, float]:
        """Numbers of the epoch by their column in metrics.csv: those of the training steps, then of test images."""

    @abstractmethod
    def losses_of(self, batch: TrainingBatch) -> Float[Tensor, " batch"]:
        """The loss of each image of a training batch, with its gradient."""

    @abstractmethod
    def validation_step(self, batch: TrainingBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Look at a batch of test images, or (loader 1) of those held out."""

    def normalized(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        """Images in [0, 1] as the network takes them."""
        return (images - self.mean) / self.std

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
        self.begin_scores()

    def on_train_batch_start(self, batch: TrainingBatch, batch_idx: int) -> None:
        """Set the step's learning rate."""
        step = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.recipe.learning_rate_at(self.current_epoch, step)

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """The loss of a batch: the mean of its images, for "ohem" that of its hardest half."""
        losses = self.losses_of(batch)
        hardest = losses.topk(-(-len(losses) // 2)).values if self.recipe.loss == "ohem" else losses
        loss = hardest.mean()
        if not torch.isfinite(loss):
            raise RuntimeError(
                f"the loss is {loss.item()} in epoch {self.current_epoch + 1}, step {batch_idx + 1}; try a "
                f"`learning_rate` below {self.recipe.learning_rate:g}; the epochs before are kept"
            )
        self.log("loss", loss.detach(), prog_bar=True, logger=False)
        return loss
