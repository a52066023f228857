"""What a checkpoint keeps of the images that its network was tested on, and whether it was trained with others."""

from collections.abc import Mapping
from typing import Any

from gradscape.data.named_batches import KnownImages

__all__ = ["record_test", "was_trained_with"]


def record_test(test: KnownImages) -> dict[str, Any]:
    """What a checkpoint keeps of the images that its network is tested on.

    Args:
        test: The images.

    Returns:
        The data's `name`, the `split`, the number of `images`, the `population` where there are more, and of images
        held out the `share` and the `seed`.
    """
    about = {"name": test.name, "split": test.split, "images": test.num_images}
    if test.held_out:
        return about | {"share": test.held_out.share, "seed": test.held_out.seed}
    return about | ({"population": test.population} if test.num_images < test.population else {})


def was_trained_with(meta: Mapping[str, Any], images: KnownImages) -> bool:
    """Whether a network saw images in its training, as far as its checkpoint tells: those are no test of it.

    Args:
        meta: The checkpoint's metadata.
        images: What it is shown; of data without a split of their own they hold those that it was trained with.
    """
    data = meta.get("data")
    trained = data.get("name") if isinstance(data, Mapping) else None
    return trained == images.name and images.split in ("train", "all")
