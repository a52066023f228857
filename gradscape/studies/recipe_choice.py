"""By which recipe networks are trained on data, and whether it fits them."""

from collections.abc import Mapping, Sequence
from typing import Any

from gradscape._names import parse_options
from gradscape.models.registry import ATTENTIONS, MODELS
from gradscape.studies.targets import check_loss, common_targets
from gradscape.training import RECIPES, Recipe, create_recipe
from gradscape.training.families import ABLATION, TABLES, Candidate, agree_on_recipe, other_recipes
from gradscape.training.recipe import check_choices

__all__ = ["choose_recipe", "describe_choice", "recipe_for", "shared_recipe"]

# What UPANets' tables 2, 3, 7 and 8 vary.
_ABLATED = {"attention", "groups", "pooling", "shuffle", "width"}


def choose_recipe(
    names: Sequence[str], data: str, *, recipe: str | None = None, test: str | None = None, **changes: Any
) -> tuple[str, Recipe]:
    """Choose how networks are trained on data, once it is clear that these fit each other.

    Args:
        names: The models' names.
        data: Name of the data set to train with.
        recipe: The recipe's name; None for that which the networks have in common.
        test: Name of the data set to test on, if another.
        **changes: Fields of the recipe that shall be other than it says; None leaves a field as it is.

    Returns:
        The recipe's name, and what it says.

    Raises:
        ValueError: Networks, data and recipe do not fit, or as `shared_recipe` and `create_recipe` do.
    """
    kind = common_targets(names, data=[data, *([test] if test else [])])
    name = recipe or shared_recipe(names, data)
    if name in RECIPES:
        loss = changes.get("loss") or RECIPES[name].loss
        check_choices({"loss": loss})
        check_loss(loss, kind, network=names[0], recipe=name)
    return name, create_recipe(name, **changes)


def shared_recipe(model_names: Sequence[str], data_name: str) -> str:
    """Name of the one recipe by which networks are trained to be compared, as a paper trains the rows of a table.

    Digits have a recipe of their own. Otherwise it is that of the paper which the networks have in common: by attention
    that a paper proposes, then by a network that it proposes. What belongs to no paper is trained as the others are, so
    that a baseline gets its attention's recipe; by itself it gets that of a table in which it stands without attention.
    `upanet16` among its variants is trained as they are, for 100 epochs; by itself for 200.

    Args:
        model_names: As `create_model` takes them; at least one.
        data_name: As `load_split` takes it.

    Returns:
        A key of `RECIPES`.

    Raises:
        ValueError: They are of several papers, or of one that trains them differently.
    """
    return agree_on_recipe(_candidates(model_names), data=data_name)


def recipe_for(model_name: str, data_name: str) -> str:
    """Name of the recipe for a network that is trained by itself: see `shared_recipe`.

    Args:
        model_name: As `create_model` takes it.
        data_name: As `load_split` takes it.

    Returns:
        A key of `RECIPES`.
    """
    return shared_recipe([model_name], data_name)


def describe_choice(recipe_name: str, model_names: Sequence[str], data_name: str) -> str:
    """Say of which table a recipe is, and which others a paper would have taken; "" for recipes of no table.

    Args:
        recipe_name: The recipe that is taken.
        model_names: The networks.
        data_name: Name of the data set.
    """
    if recipe_name not in TABLES:
        return ""
    said = f"it is the recipe of {TABLES[recipe_name]}"
    others = other_recipes(list(_candidates(model_names).values()), data=data_name, besides=recipe_name)
    if not others:
        return said
    *first, last = others
    listed = f"{', '.join(first)} or {last}" if first else last
    return f"{said}; as a baseline of another paper: `--recipe` {listed}"


def _candidates(model_names: Sequence[str]) -> Mapping[str, Candidate]:
    return {name: _candidate(name) for name in model_names}


def _candidate(model_name: str) -> Candidate:
    network, *attentions = model_name.split("+")
    network, _, options = network.partition("@")
    entries = [MODELS.get(network), *(ATTENTIONS.get(attention.partition("@")[0]) for attention in attentions)]
    families = [entry.recipe for entry in entries if entry is not None and entry.recipe is not None]
    if "upanets" in families and options and not _ABLATED.isdisjoint(parse_options(options)):
        families.append(ABLATION)
    return Candidate(network, tuple(families))
