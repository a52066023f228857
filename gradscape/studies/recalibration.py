"""The images that batch norms are recalibrated on, by the names that commands take."""

import os
from typing import Any

from gradscape.data import Split, load_split
from gradscape.landscape import Options
from gradscape.landscape.engine import CALIBRATION_BATCH

__all__ = ["CALIBRATION_IMAGES", "calibration_names", "load_calibration"]

CALIBRATION_IMAGES = 2000
"""Training images that statistics are measured on, of each class as many, or all where there are fewer."""


def load_calibration(
    batch_norm: str | None,
    data: str,
    *,
    calibration: str | None = None,
    root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    seed: int = 0,
    download: bool = False,
) -> Split | None:
    """Load the images that batch norms are recalibrated on; None where they are not.

    These are 2,000 images of the training split, balanced over classes and drawn by the seed, without augmentation.

    Args:
        batch_norm: As in `Options`.
        data: The data set that networks are evaluated on.
        calibration: Another data set to recalibrate on.
        root: As in `load_split`.
        image_size: As in `load_split`.
        seed: As in `load_split`.
        download: As in `load_split`.

    Raises:
        ValueError: Other data are named though nothing is recalibrated.
    """
    if batch_norm != "recalibrated":
        if calibration is not None:
            raise ValueError(
                "`calibration` names the images for `--batch-norm recalibrated`: leave it out, or ask for that"
            )
        return None
    return load_split(
        calibration or data,
        "train",
        root=root,
        image_size=image_size,
        batch_size=CALIBRATION_BATCH,
        limit=CALIBRATION_IMAGES,
        seed=seed,
        download=download,
    )


def calibration_names(options: Options) -> dict[str, Any]:
    """What the provenance says of where calibration images come from; nothing where there are none with a name."""
    split = options.calibration
    return {"calibration": {"data": split.name, "split": split.split}} if isinstance(split, Split) else {}
