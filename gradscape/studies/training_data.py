"""What networks are trained with and tested on: images with a class each, or with boxes, masks or labels of pixels."""

import os
from collections.abc import Sequence
from typing import Any

from gradscape.data import AnnotatedSplit, Split, load_annotated_train_and_test, load_train_and_test
from gradscape.studies.targets import common_targets
from gradscape.training import Recipe

__all__ = ["TrainingSplit", "load_training_data", "square_side"]

TrainingSplit = Split | AnnotatedSplit[Any]
"""Images with a class each, or with boxes, masks or a class for each pixel."""


def load_training_data(
    names: Sequence[str],
    data: str,
    *,
    recipe: Recipe,
    test: str | None = None,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    **options: Any,
) -> tuple[TrainingSplit, TrainingSplit]:
    """Load what networks are trained with and tested on: images with classes, boxes, masks or pixels, as they need.

    Args:
        names: The models' names.
        data: Name of the data set.
        recipe: How they are trained.
        test: Name of another data set to test on.
        root: Folder of the published data sets with classes.
        download: Whether one of these may be fetched.
        **options: Those that `load_train_and_test` and `load_annotated_train_and_test` share.

    Raises:
        ValueError: Networks and data do not fit, and as these two do.
        FileNotFoundError: The data are not where they were looked for.
    """
    kind = common_targets(names, data=[data, *([test] if test else [])])
    if kind != "classes":
        return load_annotated_train_and_test(data, kind=kind, test=test, **options)
    hold = not recipe.resized_crop
    return load_train_and_test(data, test=test, root=root, download=download, hold=hold, **options)


def square_side(split: TrainingSplit) -> int:
    """Side of the images in pixels.

    Raises:
        ValueError: The images are not square.
    """
    if not isinstance(split.image_size, int):
        raise ValueError(
            f"`image_size` must be given, since the images of {split.name} are {split.image_size}, not square"
        )
    return split.image_size
