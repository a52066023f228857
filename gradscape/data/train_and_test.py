"""Data to train with and data to test on, which are never the same images."""

import os
from dataclasses import replace
from functools import partial

import numpy as np

from gradscape.data.load import check_loading, default_size, load_source
from gradscape.data.source import ALL, Source, are_names
from gradscape.data.split import HeldOut, Split

__all__ = ["load_train_and_test"]

_SHARE = 0.2


def load_train_and_test(
    name: str,
    *,
    test: str | None = None,
    root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    batch_size: int = 256,
    limit: int | None = None,
    seed: int = 0,
    download: bool = False,
    hold: bool = True,
) -> tuple[Split, Split]:
    """Load the images to train with and those to test on.

    These are the data set's own splits. Where it has none (`npz:`, `folder:` without test images, a function that
    gives the same for both), a fifth of each class is held out, by seed, unless `test` names another data set.

    Args:
        name: The data set, as `load_split` takes it.
        test: Another to test on: its test images, or all of it where it has no split of its own. Classes that both
            name are numbered as in the first.
        root: As for `load_split`, and so are the next two.
        image_size: None: that of the training images, also for `test`.
        batch_size: Images in a batch.
        limit: Train with a class-balanced subset of so many images.
        seed: Chooses what is held out, and the subset.
        download: As for `load_split`.
        hold: Whether the training images are decoded once and held in memory where they fit. Where training takes
            random parts of whole photographs that would be for nothing.

    Returns:
        (train, test), in the data set's own order, but train in balanced order where `limit` is given.

    Raises:
        ValueError: What `load_split` refuses; too few images to hold any out; the same images for both; or `test`
            has other classes.
        FileNotFoundError: The data are not where they were looked for.

    Example:
        >>> train, test = load_train_and_test("digits")
        >>> train.num_images, test.num_images, test.split
        (1442, 355, 'test')
    """
    check_loading("train", image_size=image_size, batch_size=batch_size, limit=limit, seed=seed)
    size = image_size or default_size(name)
    load = partial(load_source, root=root, seed=seed, download=download)
    taught, held_out = load(name, "train", image_size=size), None
    if test is None and taught.split == ALL:
        held_out = HeldOut(_SHARE, seed)
        taught, tested = _divided(taught, held_out, name)
    else:
        tested = _renumbered(load(test or name, "test", image_size=size), taught, names=(test or name, name))
        if taught.same_as(tested):
            raise ValueError(
                f"`{test or name}` gives the images that are trained on as test images: name others by --test"
            )
    cut = partial(Split, batch_size=batch_size, seed=seed, held_out=held_out)
    train = cut(taught, name=name, split=taught.split or "train", image_size=size, limit=limit, hold=hold)
    if test is not None and size is None and isinstance(train.image_size, int):
        size = train.image_size
    return train, cut(tested, name=test or name, split=tested.split or "test", image_size=size, limit=None)


def _divided(source: Source, held_out: HeldOut, name: str) -> tuple[Source, Source]:
    """The images to train with and those held out, of each class its share, both in the data set's order."""
    chosen = np.zeros(len(source.labels), dtype=bool)
    for label in np.unique(source.labels):
        members = np.flatnonzero(source.labels == label)
        order = np.random.default_rng((held_out.seed, int(label))).permutation(members)
        chosen[order[: round(held_out.share * len(members))]] = True
    if not chosen.any():
        raise ValueError(
            f"`{name}` has no split of its own and too few images of each class to hold {held_out.share:.0%} out: "
            "name test images by --test"
        )
    return source.part(np.flatnonzero(~chosen), "train"), source.part(np.flatnonzero(chosen), "held out")


def _renumbered(tested: Source, taught: Source, *, names: tuple[str, str]) -> Source:
    """Test images with the class numbers of the training images.

    Raises:
        ValueError: There are other classes among them.
    """
    if tested.classes == taught.classes:
        return tested
    if are_names(tested.classes) and are_names(taught.classes):
        if unknown := sorted(set(tested.classes) - set(taught.classes)):
            raise ValueError(f"`{names[0]}` has classes that `{names[1]}` lacks, such as {unknown[0]}: test on others")
        numbers = np.array([taught.classes.index(name) for name in tested.classes], dtype=np.int64)
        return replace(tested, labels=numbers[tested.labels], classes=taught.classes)
    if len(tested.classes) > len(taught.classes):
        raise ValueError(
            f"`{names[0]}` has {len(tested.classes)} classes, but `{names[1]}` only {len(taught.classes)}: "
            "test on others"
        )
    return replace(tested, classes=taught.classes)
