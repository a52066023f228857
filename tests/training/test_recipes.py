from typing import Any

import pytest

from gradscape.training import RECIPES, create_recipe

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": False}
NESTEROV = {**SGD, "nesterov": True}
PHOTOGRAPHS = {"resized_crop": True, "crop_padding": 0, "horizontal_flip": True}
SMALL = {"crop_padding": 4, "horizontal_flip": True, "resized_crop": False, "shift": 0}
MOBILENET_V1 = {**SGD, **PHOTOGRAPHS, "batch_size": 128, "schedule": "steps", "factor": 0.1, "seeds": 3}
MOBILENET_V2 = {**SGD, "learning_rate": 0.045, **PHOTOGRAPHS, "batch_size": 98, "weight_decay": 4e-5, "factor": 0.98}
MOVED = {"shift": 0.15, "crop_padding": 0, "horizontal_flip": True, "validation_share": 0.2}
PATIENT = {"early_stopping_patience": 15, "early_stopping_metric": "train_accuracy", "epochs": 250, "batch_size": 64}

PRINTED: dict[str, dict[str, Any]] = {
    "upanets": {"epochs": 200, "batch_size": 100, **SGD, "weight_decay": 5e-4, **SMALL},
    "upanets_ablation": {"epochs": 100, "batch_size": 100, **SGD, "weight_decay": 5e-4, **SMALL},
    "upanets_ablation_cifar100": {"epochs": 100, "mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)},
    "upanets_tiny_imagenet": {"epochs": 100, "batch_size": 100, **SGD, "weight_decay": 5e-4, **SMALL},
    "spanet": {"epochs": 300, "batch_size": 256, **NESTEROV, "weight_decay": 5e-4, **SMALL},
    "spanet_downsampled_imagenet": {"epochs": 100, "batch_size": 512, "weight_decay": 5e-4, **SMALL},
    "spanet_imagenet_resnet": {"epochs": 100, "batch_size": 256, **SGD, "weight_decay": 1e-4, **PHOTOGRAPHS},
    "spanet_imagenet_mobilenet_v2": {"epochs": 150, "batch_size": 512, **SGD, "weight_decay": 1e-4, **PHOTOGRAPHS},
    "ulsam_mobilenet_v1": {"epochs": 90, **MOBILENET_V1},
    "ulsam_mobilenet_v1_fine_grained": {"epochs": 150, **MOBILENET_V1},
    "ulsam_mobilenet_v2": {"epochs": 400, **MOBILENET_V2},
    "ulsam_mobilenet_v2_fine_grained": {"epochs": 200, **MOBILENET_V2},
    "residual_attention": {"optimizer": "adam", "learning_rate": 1e-3, "weight_decay": 0, **MOVED, **PATIENT},
    "residual_attention_92": {**NESTEROV, "decay_per_step": 1e-4, "weight_decay": 0, **MOVED, **PATIENT},
    "ba2m": {"batch_size": 256, **SGD, "learning_rate_batch": 128, "seeds": 5, **SMALL},
    "ba2m_imagenet": {"epochs": 90, "batch_size": 256, **SGD, "weight_decay": 1e-4, "seeds": 5, **PHOTOGRAPHS},
}


@pytest.mark.parametrize(("name", "printed"), PRINTED.items())
def test_a_recipe_holds_its_papers_numbers(name: str, printed: dict[str, Any]) -> None:
    recipe = create_recipe(name)
    assert {field: getattr(recipe, field) for field in printed} == printed


@pytest.mark.parametrize("name", ["residual_attention_cifar10", "residual_attention_92_cifar10"])
def test_residual_attention_on_cifar10_is_normalized_with_the_reports_numbers(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.mean is not None
    assert recipe.std is not None
    assert [255 * value for value in recipe.mean] == pytest.approx([125.3, 123.0, 113.9])
    assert [255 * value for value in recipe.std] == pytest.approx([63.0, 62.1, 66.7])


def test_upanets_on_cifar100_are_normalized_with_the_numbers_of_cifar10() -> None:
    assert RECIPES["upanets_cifar100"].mean == (0.4914, 0.4822, 0.4465)
    assert RECIPES["upanets_cifar100"].std == (0.2023, 0.1994, 0.2010)


def test_digits_are_not_mirrored() -> None:
    assert not RECIPES["digits"].horizontal_flip


def test_a_change_of_none_leaves_the_recipe_as_it_is() -> None:
    recipe = create_recipe("upanets", epochs=7, batch_size=None)
    assert (recipe.epochs, recipe.batch_size) == (7, 100)


def test_an_unknown_recipe_is_refused_with_near_names() -> None:
    with pytest.raises(ValueError, match=r"unknown `recipe` 'upanet'; did you mean upanets"):
        create_recipe("upanet")


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        TypeError, match=r"`changes` must be fields of a recipe, got lr; choose from epochs, batch_size"
    ):
        create_recipe("upanets", lr=0.1)


def test_a_change_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`batch_size` must be at least 2, got 1"):
        create_recipe("ba2m", batch_size=1)
