"""What the scores in metrics.csv are called, and which of them says how good a network is."""

from collections.abc import Iterable

__all__ = ["SCORES", "best_column", "describe_column", "is_share", "score_column"]

_CALLED = {"accuracy": "accuracy", "top5_accuracy": "top-5 accuracy", "ap50": "AP50", "ap": "AP", "iou": "mean IoU"}

SCORES = ("test_accuracy", "test_ap50", "test_iou")
"""By which the best epoch is chosen, of classifiers, detectors and segmenters."""


def score_column(columns: Iterable[str]) -> str | None:
    """Return which of `SCORES` is among the columns of a training; None where none is.

    Args:
        columns: Names of the columns.

    Example:
        >>> score_column(["epoch", "test_ap", "test_ap50"])
        'test_ap50'
    """
    there = set(columns)
    return next((score for score in SCORES if score in there), None)


def best_column(score: str) -> str:
    """Return what the best of any epoch is called.

    Args:
        score: One of `SCORES`.

    Example:
        >>> best_column("test_ap50")
        'best_ap50'
    """
    return f"best_{score.removeprefix('test_')}"


def is_share(column: str) -> bool:
    """Whether a column has numbers in [0, 1], which people read in percent."""
    return column.partition("_")[2] in _CALLED


def describe_column(column: str) -> str:
    """Return a column's name in words.

    Args:
        column: Such as "test_ap50".

    Example:
        >>> describe_column("test_ap50"), describe_column("train_loss"), describe_column("learning_rate")
        ('test AP50', 'train loss', 'learning rate')
    """
    split, _, quantity = column.partition("_")
    return f"{split} {_CALLED.get(quantity, quantity.replace('_', ' '))}".strip()
