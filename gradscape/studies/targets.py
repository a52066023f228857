"""Whether networks, data and recipes fit each other: what is known of each image, a class, boxes, masks or pixels."""

from collections.abc import Sequence

from gradscape.data import kinds_of
from gradscape.models import TargetKind, targets_of
from gradscape.training import RECIPES

__all__ = ["LOSSES", "check_loss", "common_targets"]

_CALLED: dict[TargetKind, str] = {
    "classes": "a class for each image",
    "boxes": "boxes",
    "masks": "boxes with masks",
    "pixels": "a class for each pixel",
}
_WITH: dict[TargetKind, str] = {
    "classes": "data with classes, such as digits or folder:PATH",
    "boxes": "coco:PATH or voc:PATH",
    "masks": "coco:PATH",
    "pixels": "voc:PATH",
}
LOSSES: dict[TargetKind, tuple[str, ...]] = {
    "classes": ("cross_entropy", "focal", "ohem"),
    "boxes": ("detection_loss",),
    "masks": ("detection_loss",),
    "pixels": ("pixel_cross_entropy",),
}
"""What networks are trained with, by what they need to know of each image; the usual loss first."""


def common_targets(names: Sequence[str], *, data: Sequence[str]) -> TargetKind:
    """What networks that share their data need to know of each image; where one takes boxes, another masks: masks.

    Args:
        names: The models' names, at least one.
        data: Names of the data sets.

    Raises:
        ValueError: Networks need different things, or the data do not have them.
    """
    wanted = {targets_of(name): name for name in reversed(names)}
    if len(wanted) > 1 and wanted.keys() != {"boxes", "masks"}:
        told = ", ".join(f"{name} takes {_CALLED[kind]}" for kind, name in sorted(wanted.items()))
        raise ValueError(f"`models` must be of one kind, since they share their data, but {told}: take them one by one")
    kind: TargetKind = "masks" if "masks" in wanted else next(iter(wanted))
    for each in data:
        there: tuple[TargetKind, ...] = kinds_of(each) or ("classes",)
        if kind not in there:
            told = " or ".join(_CALLED[one] for one in there)
            raise ValueError(f"`data` {each} has {told}, but {wanted[kind]} takes {_CALLED[kind]}: give {_WITH[kind]}")
    return kind


def check_loss(loss: str, kind: TargetKind, *, network: str, recipe: str) -> None:
    """Refuse a recipe by which a network cannot be trained.

    Args:
        loss: The recipe's.
        kind: What the network needs to know of each image.
        network: Its name.
        recipe: The recipe's name.

    Raises:
        ValueError: The loss is of other networks.
    """
    fitting = LOSSES[kind]
    if loss in fitting:
        return
    recipes = [name for name, one in RECIPES.items() if one.loss in fitting]
    advice = "take no other `loss`" if recipe in recipes else f"take another, such as {recipes[0]}"
    raise ValueError(
        f"`recipe` {recipe} has the loss {loss}, but {network}, which takes {_CALLED[kind]}, is trained with "
        f"{' or '.join(fitting)}: {advice}"
    )
