"""Training images that are held out: evaluated, never trained with."""

import torch
from torch.utils.data import Dataset, Subset

from gradscape.training.augmentation import Item

__all__ = ["hold_out"]


def hold_out(train: Dataset[Item], share: float, *, seed: int) -> tuple[Dataset[Item], Dataset[Item] | None]:
    """Split a share of the training images off.

    Args:
        train: Map-style data set.
        share: Part of the images, from 0 to below 1.
        seed: Chooses them.

    Returns:
        The images to train with and those held out, both in the data set's order; None for the latter if `share` is 0.

    Raises:
        ValueError: The share is less than one image, or leaves fewer than two to train with.
    """
    if not share:
        return train, None
    count = len(train)  # type: ignore[arg-type]
    held = round(share * count)
    if not 1 <= held <= count - 2:
        raise ValueError(
            f"`validation_share` must hold out at least 1 image and leave 2, got {share:g} of {count} images, which is "
            f"{held}; change the recipe"
        )
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return Subset(train, sorted(order[held:])), Subset(train, sorted(order[:held]))
