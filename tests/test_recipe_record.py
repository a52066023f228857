from dataclasses import asdict
from typing import Any

import pytest

from gradscape._recipe_record import describe_recipe_differences, describe_trained_loss
from gradscape.training import create_recipe


def meta_of(name: str, **changes: Any) -> dict[str, Any]:
    return {"recipe": {"name": name, **asdict(create_recipe(name, **changes))}}


def test_recipes_of_several_names_are_told_with_their_epochs() -> None:
    metas = {"a": meta_of("upanets"), "b": meta_of("ba2m"), "c": meta_of("ba2m")}
    assert describe_recipe_differences(metas) == (
        "trained differently: a by the recipe upanets (epochs 200); b, c by the recipe ba2m (epochs 300)"
    )


def test_of_one_name_everything_that_differs_is_told() -> None:
    metas = {"a": meta_of("upanets", learning_rate=0.05), "b": meta_of("upanets", loss="focal")}
    assert describe_recipe_differences(metas) == (
        "trained differently: a by the recipe upanets (learning rate 0.05, loss cross-entropy); "
        "b by the recipe upanets (learning rate 0.1, loss focal)"
    )
    assert describe_recipe_differences(metas, but=("loss", "learning_rate")) == ""


def test_a_name_that_stands_for_two_recipes_does_not_tell_them_apart() -> None:
    metas = {
        "a": meta_of("upanets"),
        "b": meta_of("upanets", batch_size=50),
        "c": meta_of("upanets_ablation", epochs=200),
        "d": meta_of("upanets_ablation", epochs=200),
    }
    assert describe_recipe_differences(metas) == (
        "trained differently: a by the recipe upanets (batch size 100); b by the recipe upanets (batch size 50); "
        "c, d by the recipe upanets_ablation (batch size 100)"
    )


@pytest.mark.parametrize(
    "metas",
    [
        {},
        {"a": meta_of("upanets"), "b": meta_of("upanets", seeds=5)},
        {"a": meta_of("upanets"), "b": {}},
        {"a": meta_of("upanets"), "b": {"recipe": "by hand"}},
        {"a": meta_of("upanets"), "b": {"recipe": {"name": "upanets", "epochs": 200}}},
    ],
    ids=["nobody", "more seeds", "unknown", "text", "older"],
)
def test_what_is_alike_or_not_known_is_not_told(metas: dict[str, dict[str, Any]]) -> None:
    assert describe_recipe_differences(metas) == ""


def test_a_loss_that_is_not_the_cross_entropy_is_told_with_the_one_that_is_drawn() -> None:
    focal = meta_of("upanets", loss="focal")
    assert describe_trained_loss(focal) == "trained with the focal loss, drawn is the cross-entropy"
    assert describe_trained_loss({**focal, "loss": "focal"}) == "trained with the focal loss"
    assert describe_trained_loss(focal, drawn=False) == "trained with the focal loss"
    assert "hardest half of each batch (OHEM), drawn" in describe_trained_loss(meta_of("upanets", loss="ohem"))
    assert describe_trained_loss(meta_of("upanets")) == describe_trained_loss({}) == ""
