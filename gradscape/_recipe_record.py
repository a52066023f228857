"""The recipe as checkpoints and results keep it: by what networks were trained, and in what their trainings differ."""

from collections.abc import Iterable, Mapping
from typing import Any

from gradscape._names import one_line

__all__ = [
    "OTHER_RECIPE",
    "RECIPE",
    "USUAL_LOSSES",
    "describe_recipe_differences",
    "describe_trained_loss",
    "recorded_recipe",
]

RECIPE = "recipe"
"""Entry of checkpoints and results: `name`, and the fields of a `gradscape.training.Recipe`."""

OTHER_RECIPE = "other_recipe"
"""The same of the network that a line leads to."""

_CROSS_ENTROPY = "cross_entropy"
_LOSSES = {
    _CROSS_ENTROPY: "the cross-entropy",
    "focal": "the focal loss",
    "ohem": "the cross-entropy of the hardest half of each batch (OHEM)",
    "detection_loss": "the sum of a detector's losses",
    "pixel_cross_entropy": "the cross-entropy of pixels",
}
USUAL_LOSSES = (_CROSS_ENTROPY, "detection_loss", "pixel_cross_entropy")
"""Of classifiers, detectors and segmenters: they go without saying."""
_NOT_OF_A_RUN = {"name", "seeds"}


def recorded_recipe(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    """The recipe that a checkpoint's or a result's metadata holds; empty where it holds none.

    Args:
        meta: The metadata; those of older versions do not say by which loss, since there was one alone.
    """
    recipe = meta.get(RECIPE)
    return {**recipe, "loss": recipe.get("loss", _CROSS_ENTROPY)} if isinstance(recipe, Mapping) and recipe else {}


def describe_trained_loss(meta: Mapping[str, Any], *, drawn: bool = True) -> str:
    """Say with which loss a network was trained, and which is drawn; "" of the usual one and where it is not known.

    Args:
        meta: Metadata of a result, whose entry `loss` names the loss that was evaluated.
        drawn: Whether it is the loss that is shown.
    """
    own = one_line(recorded_recipe(meta).get("loss", _CROSS_ENTROPY))
    if own in USUAL_LOSSES:
        return ""
    evaluated = one_line(meta.get("loss", _CROSS_ENTROPY))
    shown = f", drawn is {_LOSSES.get(evaluated, evaluated)}" if drawn and evaluated != own else ""
    return f"trained with {_LOSSES.get(own, own)}{shown}"


def describe_recipe_differences(metas: Mapping[str, Mapping[str, Any]], *, but: Iterable[str] = ()) -> str:
    """Say which networks were trained by which recipe, where these differ; "" where they do not or it is not known.

    Args:
        metas: What a network is called -> metadata of its checkpoint or of a result.
        but: Fields in which the recipes may differ without a word.

    Example:
        >>> short, long = ({"recipe": {"name": "upanets", "epochs": epochs}} for epochs in (60, 200))
        >>> describe_recipe_differences({"a": short, "b": short, "c": long})
        'trained differently: a, b by the recipe upanets (epochs 60); c by the recipe upanets (epochs 200)'
    """
    recipes = {title: recipe for title, meta in metas.items() if (recipe := recorded_recipe(meta))}
    shared = set.intersection(*map(set, recipes.values())) if recipes else set()  # older ones have fewer fields
    differing = [
        field
        for field in next(iter(recipes.values()), {})
        if field in shared - _NOT_OF_A_RUN - set(but) and len({_value(one[field]) for one in recipes.values()}) > 1
    ]
    if not differing:
        return ""
    contents = {title: tuple(_value(recipe[field]) for field in differing) for title, recipe in recipes.items()}
    # Where every name stands for one recipe alone, it tells enough with what is read first.
    names = {title: one_line(recipe.get("name")) for title, recipe in recipes.items()}
    named = len({(names[title], content) for title, content in contents.items()}) == len(set(names.values()))
    told: dict[str, list[str]] = {}
    for title, recipe in recipes.items():
        told.setdefault(_spelled(recipe, differing, named=named), []).append(one_line(title))
    return "trained differently: " + "; ".join(f"{', '.join(several)} {how}" for how, several in told.items())


def _spelled(recipe: Mapping[str, Any], differing: Iterable[str], *, named: bool) -> str:
    """A recipe's name and how it differs; where names tell it, of its fields only what is read first."""
    fields = [field for field in differing if not named or field in ("epochs", "loss")]
    said = ", ".join(f"{field.replace('_', ' ')} {_value(recipe[field])}" for field in fields)
    return f"by the recipe {one_line(recipe.get('name', 'of no name'))}" + (f" ({said})" if said else "")


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ":".join(map(_value, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else one_line(value).replace("_", "-")
