"""Networks that only guess on the images that they are shown."""

import logging
from collections.abc import Iterable, Iterator, Mapping

from scipy import stats
from torch import Tensor

from gradscape._left_as_before import left_as_before
from gradscape._profile import spent_on
from gradscape.landscape import binary, top1
from gradscape.landscape.engine import MetricFunction, evaluable
from gradscape.models import Classifier

__all__ = ["is_no_better_than_chance", "models_at_chance"]

_SEEN = 128  # images that tell it
_AT_ONCE = 32  # large networks shall not need more memory here than when they are evaluated
_DOUBT = 0.01  # how often one that guesses gets as many right, at most, where it surely knows more

_log = logging.getLogger(__name__)


@left_as_before
@spent_on("planning")
def models_at_chance(
    models: Mapping[str, Classifier],
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    data: str,
    metric: MetricFunction | None = top1,
) -> list[str]:
    """Warn of models that get no more of the first images right than one that guesses might: a one-sided binomial test.

    Few images cannot tell: 7 of 8 right with two classes may be luck. So the number must also be likelier of one that
    guesses than of one that is halfway between guessing and always right.

    Args:
        models: By name.
        batches: (images, labels), of which the first are looked at.
        data: What the images are called.
        metric: What is counted as right; of others than `top1` and `binary` it is not known how often guessing is.

    Returns:
        Names of these models.
    """
    if metric not in (top1, binary):
        return []
    shown = list(_first(batches))
    count = sum(len(labels) for _, labels in shown)
    guessing = []
    for name, model in models.items():
        classes = max(2, model.meta["num_classes"])
        right = _count_right(model, shown)
        if right is not None and is_no_better_than_chance(name, right, count, classes=classes, data=data):
            guessing.append(name)
    return guessing


def is_no_better_than_chance(name: str, right: int, count: int, *, classes: int, data: str) -> bool:
    """Tell by the right answers of a network whether it may only guess, as `models_at_chance` does, and warn of it.

    Args:
        name: What the network is called.
        right: How many of its answers are right.
        count: How many answers there are.
        classes: How many it tells apart.
        data: What the images are called.
    """
    guesses = _may_be_guessed(right, count, 1 / classes)
    if guesses:
        _log.warning(
            "%s has %d of %d images of %s right, which is no better than chance (1 of %d): see that these are its "
            "images, its labels and its normalization",
            name, right, count, data, classes,
        )  # fmt: skip
    return guesses


def _may_be_guessed(right: int, count: int, chance: float) -> bool:
    """Whether so many right of so many say that it is a guess; so few that all may be guessed say nothing."""
    if chance**count > _DOUBT or stats.binom.sf(right - 1, count, chance) <= _DOUBT:
        return False
    guessing, knowing = stats.binom.logpmf(right, count, [chance, (1 + chance) / 2])
    return bool(guessing > knowing)


def _first(batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    seen = 0
    for images, labels in batches:
        wanted = min(len(labels), _SEEN - seen)
        yield from zip(images[:wanted].split(_AT_ONCE), labels[:wanted].split(_AT_ONCE), strict=True)
        seen += wanted
        if seen == _SEEN:
            return


def _count_right(model: Classifier, shown: Iterable[tuple[Tensor, Tensor]]) -> int | None:
    device = model.mean.device
    try:
        with evaluable(model):
            right = [top1(model(images.to(device)), labels.to(device)).sum() for images, labels in shown]
    except Exception:  # whatever a user's module raises: its evaluation says what is wrong
        return None
    return int(sum(right))
