"""A segmenter's training and test steps, for Lightning's Trainer."""

from collections.abc import Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics.classification import MulticlassJaccardIndex

from gradscape._image_losses import IGNORED_LABEL, pixel_cross_entropy_of
from gradscape.training.recipe import Recipe
from gradscape.training.supervised import SupervisedTraining, TrainingBatch

__all__ = ["Segmentation"]


@final
class Segmentation(SupervisedTraining):
    """Training of a network that gives logits of every pixel, (N, classes, H, W).

    Scores are mean losses, and in test images the intersection over union of the classes that are there or are found,
    averaged over these.
    """

    score: ClassVar[str] = "test_iou"

    def __init__(
        self, network: nn.Module, recipe: Recipe, *, mean: Sequence[float], std: Sequence[float], seed: int
    ) -> None:
        super().__init__(network, recipe, mean=mean, std=std, seed=seed)
        self.losses: dict[str, list[Tensor]] = {}
        self.overlaps: dict[str, MulticlassJaccardIndex] = {}

    def begin_scores(self) -> None:
        """Forget losses and overlaps of the epoch before."""
        self.losses, self.overlaps = {}, {}

    def losses_of(self, batch: TrainingBatch) -> Float[Tensor, " batch"]:
        """The mean cross-entropy of each training image's pixels."""
        images, labels = batch
        losses = pixel_cross_entropy_of(self.network(self.normalized(images)).float(), labels)
        self.losses.setdefault("train", []).append(losses.detach())
        return losses

    def validation_step(self, batch: TrainingBatch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Keep losses and overlaps of a batch of test images, or (loader 1) of those held out."""
        images, labels = batch
        split = "validation" if dataloader_idx else "test"
        logits = self.network(self.normalized(images)).float()
        self.losses.setdefault(split, []).append(pixel_cross_entropy_of(logits, labels))
        if split not in self.overlaps:
            overlap = MulticlassJaccardIndex(logits.shape[1], ignore_index=IGNORED_LABEL)
            self.overlaps[split] = overlap.to(logits.device)
        self.overlaps[split].update(logits.argmax(1), labels)

    def scores(self) -> dict[str, float]:
        """Mean loss of the training steps and of test images, and these images' overlap."""
        scores = {f"{split}_loss": float(torch.cat(losses).double().mean()) for split, losses in self.losses.items()}
        return scores | {f"{split}_iou": float(overlap.compute()) for split, overlap in self.overlaps.items()}
