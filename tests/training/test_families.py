from pathlib import Path

import pytest

from gradscape.training import RECIPES
from gradscape.training.families import (
    BACKBONE,
    FAMILIES,
    TABLES,
    Candidate,
    agree_on_recipe,
    find_recipe,
    other_recipes,
)

BARE = Candidate("cifar_resnet50")
BATCH_AWARE = Candidate("cifar_resnet50", ("ba2m",))
PYRAMID = Candidate("cifar_resnet50", ("spanet",))


def agreed(*candidates: Candidate, data: str = "cifar100") -> str:
    return agree_on_recipe({f"net{number}": candidate for number, candidate in enumerate(candidates)}, data=data)


def test_every_family_has_known_recipes_and_one_for_any_network_and_data() -> None:
    for recipes in FAMILIES.values():
        assert set(recipes.values()) <= set(RECIPES)
        assert list(recipes)[-1] == ("*", "*")


def test_every_recipe_but_those_of_no_paper_is_one_of_a_table() -> None:
    assert set(TABLES) == set(RECIPES) - {"digits", "deeplabv3"}


def test_digits_have_a_recipe_of_their_own_whoever_is_trained() -> None:
    assert {find_recipe(family, network="resnet20", data="digits") for family in FAMILIES} == {"digits"}
    assert agreed(BATCH_AWARE, PYRAMID, data="digits") == "digits"


def test_where_families_meet_in_a_network_attention_decides() -> None:
    assert agreed(Candidate("mobilenet_v1", ("upanets", "spanet", "ulsam")), data="imagenet") == "ulsam_mobilenet_v1"


def test_a_baseline_is_trained_as_its_attention_is() -> None:
    assert agreed(BARE) == "upanets_cifar100"
    assert agreed(BARE, BATCH_AWARE) == agreed(BATCH_AWARE, BARE) == agreed(BATCH_AWARE) == "ba2m"


def test_networks_of_several_papers_are_refused_with_the_recipe_of_each() -> None:
    with pytest.raises(ValueError, match=r"`recipe` must be named .*\(net1 by ba2m; net2 by spanet\): one recipe"):
        agreed(BARE, BATCH_AWARE, PYRAMID)


def test_networks_that_one_paper_trains_differently_are_refused_too() -> None:
    shallow, deep = (
        Candidate("attention56", ("residual_attention",)),
        Candidate("attention92", ("residual_attention_92",)),
    )
    with pytest.raises(ValueError, match="net0 by residual_attention_cifar10; net1 by residual_attention_92_cifar10"):
        agreed(shallow, deep, data="cifar10")
    with pytest.raises(ValueError, match="net0 by spanet_imagenet_resnet; net1 by spanet_imagenet_mobilenet_v2"):
        agreed(Candidate("resnet50"), Candidate("mobilenet_v2", ("spanet",)), data="imagenet")


def test_a_network_among_its_variants_is_trained_as_they_are() -> None:
    own, variant = Candidate("upanet16", ("upanets",)), Candidate("upanet16_final_gap", ("upanets_ablation",))
    assert (agreed(own), agreed(own, variant), agreed(variant)) == (
        "upanets_cifar100",
        "upanets_ablation_cifar100",
        "upanets_ablation_cifar100",
    )


def test_other_papers_recipes_are_told_for_baselines_alone() -> None:
    assert other_recipes([BARE], data="cifar100", besides="upanets_cifar100") == ["ba2m", "spanet"]
    assert other_recipes([BARE, BATCH_AWARE], data="cifar100", besides="ba2m") == []
    assert other_recipes([BARE], data="digits", besides="ba2m") == []
    assert other_recipes([Candidate("mobilenet_v2")], data="imagenet", besides="spanet_imagenet_mobilenet_v2") == [
        "ba2m_imagenet",
        "ulsam_mobilenet_v2",
    ]


def test_a_backbone_for_photographs_is_not_trained_as_small_images_are() -> None:
    recipes = {
        find_recipe(BACKBONE, network=name, data="imagenet") for name in ("resnet50", "mobilenet_v1", "vit_b_16")
    }
    assert recipes == {"spanet_imagenet_resnet", "ulsam_mobilenet_v1"}
    assert all(RECIPES[name].resized_crop for name in recipes)


def test_the_page_about_training_has_a_row_for_every_recipe_of_a_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    for name, tables in TABLES.items():
        recipe = RECIPES[name]
        assert f"| `{name}` | {tables} | {recipe.epochs} | {recipe.batch_size} | {recipe.learning_rate:g}" in page
