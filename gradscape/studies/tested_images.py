"""Which images a network was tested on, as its checkpoint tells it, in words."""

from collections.abc import Mapping
from typing import Any

from gradscape._intervals import accuracy_over_images
from gradscape.studies.papers.wording import path_end

__all__ = [
    "TRAINING_IMAGES",
    "accuracy_interval",
    "as_trained",
    "describe_test",
    "scored_elsewhere",
]

TRAINING_IMAGES = "the images that it was trained with"
"""What older networks were tested on where their data had no split of their own."""


def describe_test(record: Mapping[str, Any]) -> str:
    """Say which images these are, without the path of a file.

    Args:
        record: What `record_test` gave.

    Example:
        >>> describe_test({"name": "digits", "split": "test", "images": 355})
        '355 images of digits (test)'
        >>> describe_test({"name": "digits", "split": "test", "images": 100, "population": 355})
        '100 of 355 images of digits (test)'
        >>> describe_test({"name": "npz:a/b.npz", "split": "held out", "images": 80, "share": 0.2, "seed": 0})
        '80 images held out of npz:b.npz (20 % of each class, seed 0)'
    """
    count, of = record["images"], record.get("population")
    images = f"{count:,} of {of:,} images" if of else f"{count:,} image{'s' if count > 1 else ''}"
    if {"share", "seed"} <= record.keys():
        how = f"{100 * record['share']:g} % of each class, seed {record['seed']}"
        return f"{images} held out of {path_end(record['name'])} ({how})"
    return f"{images} of {path_end(record['name'])} ({record['split']})"


def accuracy_interval(meta: Mapping[str, Any], accuracy: float) -> str:
    """Spell Wilson's 95 % interval over images of a test accuracy in percent; "" where nobody says of how many.

    Args:
        meta: A checkpoint's metadata.
        accuracy: In [0, 1].

    Example:
        >>> accuracy_interval({"test": {"images": 355}}, 0.98)
        '96.0 to 99.0'
    """
    test = meta.get("test")
    count = test.get("images") if isinstance(test, Mapping) else None
    if not isinstance(count, int) or count < 1 or not 0 <= accuracy <= 1:
        return ""
    found = accuracy_over_images(accuracy, count)
    return f"{100 * found.low:.1f} to {100 * found.high:.1f}"


def as_trained(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """A checkpoint's metadata with the `test` of its training, whatever it was evaluated on since.

    Args:
        meta: A checkpoint's metadata.
    """
    return {**meta, "test": meta["training_test"]} if "training_test" in meta else meta


def scored_elsewhere(meta: Mapping[str, Any]) -> str:
    """What a network's test accuracy is of, where it is not of the test split of the data that it was trained on.

    Args:
        meta: A checkpoint's metadata.

    Returns:
        As `describe_test` says it; "" for all of the data's own test split, and where nothing is known.
    """
    data, test = meta.get("data"), meta.get("test")
    name = data.get("name") if isinstance(data, Mapping) else None
    if isinstance(test, Mapping) and {"name", "split", "images"} <= test.keys():
        whole = (test["name"], test["split"]) == (name, "test") and "population" not in test
        return "" if whole else describe_test(test)
    # Before parts were held out, every split of an array file was the whole of it.
    return TRAINING_IMAGES if str(name).startswith("npz:") and test is None else ""
