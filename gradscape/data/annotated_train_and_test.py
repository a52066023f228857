"""Annotated pictures to train with and others to test on."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from gradscape._profile import spent_on
from gradscape.data.annotated import annotated_size, annotated_source
from gradscape.data.annotated_split import AnnotatedSource, AnnotatedSplit, Kind
from gradscape.data.load import check_loading
from gradscape.data.source import ALL

__all__ = ["load_annotated_train_and_test"]

_SMALL = 64  # pixels of the canvases on which pictures are compared


@spent_on("data")
def load_annotated_train_and_test(
    name: str,
    *,
    kind: Kind,
    test: str | None = None,
    image_size: int | None = None,
    batch_size: int = 16,
    limit: int | None = None,
    seed: int = 0,
) -> tuple[AnnotatedSplit[Any], AnnotatedSplit[Any]]:
    """Load the pictures to train with and those to test on, which are never the same.

    These are the data set's own splits, or `test` names another data set: its test pictures, or all of it where it has
    no split of its own.

    Args:
        name: The data set, as `load_annotated` takes it.
        kind: What is annotated, as there.
        test: Another data set to test on.
        image_size: As for `load_annotated`, of both; None: the first data set's.
        batch_size: Images in a batch.
        limit: Train with a random subset of so many pictures.
        seed: Chooses it.

    Returns:
        (train, test), in the data set's own order, but train in random order where `limit` is given.

    Raises:
        ValueError: What `load_annotated` refuses; the data have no split of their own and no `test` is named; a
            picture is in both; or the classes are not the same.
        FileNotFoundError: The data are not where they were looked for, or have no pictures to test on.
    """
    check_loading("train", image_size=image_size, batch_size=batch_size, limit=limit, seed=seed)
    taught = annotated_source(name, "train", kind)
    if test is None and taught.split == ALL:
        raise ValueError(f"`{name}` has no split of its own: name pictures to test on by --test")
    tested = _tested(name, kind) if test is None else annotated_source(test, "test", kind)
    _check_apart(taught, tested, names=(name, test or name))
    settings: dict[str, Any] = {
        "kind": kind,
        "image_size": image_size or annotated_size(name),
        "batch_size": batch_size,
        "seed": seed,
    }
    train = AnnotatedSplit(taught, name=name, limit=limit, **settings)
    return train, AnnotatedSplit(tested, name=test or name, limit=None, **settings)


def _tested(name: str, kind: Kind) -> Any:
    """The data set's own test pictures."""
    try:
        return annotated_source(name, "test", kind)
    except FileNotFoundError as problem:
        raise FileNotFoundError(f"{problem}; or name other pictures to test on by --test") from problem


def _check_apart(taught: AnnotatedSource[Any], tested: AnnotatedSource[Any], *, names: tuple[str, str]) -> None:
    """Refuse pictures that are in both, and other classes.

    Raises:
        ValueError: There are any.
    """
    of_train, of_test = names
    if taught.classes != tested.classes:
        more = sorted(set(tested.classes) ^ set(taught.classes))
        differ = f"such as {more[0]}, which only one has" if more else "in another order"
        raise ValueError(
            f"`{of_test}` must have the classes of `{of_train}`, but has others ({differ}): test on others"
        )
    files = set(_resolved(taught.paths))
    if shared := [path for path in _resolved(tested.paths) if path in files]:
        raise ValueError(
            f"`{of_test}` gives {len(shared):,} of the pictures that are trained on as test pictures, such as "
            f"{os.path.basename(shared[0])}: name others by --test"
        )
    if _look_alike(taught, tested):
        raise ValueError(f"`{of_test}` gives copies of the pictures that are trained on: name others by --test")


def _resolved(paths: Sequence[str]) -> list[str]:
    """The same files, whatever links lead to their folders."""
    folders = {folder: os.path.realpath(folder) for folder in {os.path.dirname(path) for path in paths}}
    return [os.path.join(folders[os.path.dirname(path)], os.path.basename(path)) for path in paths]


def _look_alike(one: AnnotatedSource[Any], other: AnnotatedSource[Any]) -> bool:
    """Whether these are the same pictures, by all sizes and by the first picture, the last and one between."""
    count = len(one.sizes)
    return np.array_equal(one.sizes, other.sizes) and all(
        torch.equal(one.read(_SMALL, index), other.read(_SMALL, index)) for index in (0, count // 2, count - 1)
    )
