import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.data import Split, load_split, load_train_and_test
from gradscape.models import load_checkpoint
from gradscape.models.registry import ATTENTIONS, MODELS
from gradscape.studies.training import recipe_for, train_networks
from gradscape.training import RECIPES, Recipe
from gradscape.training.recipes import FAMILIES


@pytest.mark.parametrize(
    ("model", "data", "recipe"),
    [
        ("attention92", "digits", "digits"),
        ("upanet16", "cifar10", "upanets"),
        ("upanet64_final_gap@groups=2", "npz:cifar10.npz", "upanets"),
        ("upanet16", "cifar100", "upanets_cifar100"),
        ("upanet64", "tiny_imagenet", "upanets_tiny_imagenet"),
        ("resnet56_noshort", "fashion_mnist", "upanets"),
        ("timm:resnet50", "folder:pets", "upanets"),
        ("package.module:function", "cifar10", "upanets"),
        ("cifar_resnet50+bam", "cifar10", "upanets"),
        ("cifar_resnet50+spa_b", "cifar100", "spanet"),
        ("cifar_resnet50+se_c@reduction=8", "cifar100", "spanet"),
        ("cifar_mobilenet_v2+spa_a", "tiny_imagenet", "spanet_downsampled_imagenet"),
        ("resnet50+spa_a", "imagenet", "spanet_imagenet_resnet"),
        ("mobilenet_v2+se_b", "imagenet", "spanet_imagenet_mobilenet_v2"),
        ("mobilenet_v1+ulsam@after=8:9,replace=11,groups=4", "imagenet", "ulsam_mobilenet_v1"),
        ("mobilenet_v1+ulsam@replace=11", "food101", "ulsam_mobilenet_v1_fine_grained"),
        ("mobilenet_v2+ulsam@replace=14:17,groups=4", "imagenet", "ulsam_mobilenet_v2"),
        ("mobilenet_v2+ulsam", "folder:birds", "ulsam_mobilenet_v2_fine_grained"),
        ("attention56", "cifar10", "residual_attention_cifar10"),
        ("attention56_as_reported", "cifar100", "residual_attention"),
        ("attention92_as_reported", "cifar10", "residual_attention_92_cifar10"),
        ("attention92@attention=spatial", "folder:pets", "residual_attention_92"),
        ("cifar_resnet50+bam+ba2m", "cifar100", "ba2m"),
        ("resnet18+ba2m@reduction=16", "imagenet", "ba2m_imagenet"),
    ],
)
def test_a_model_and_its_data_have_the_recipe_of_the_models_paper(model: str, data: str, recipe: str) -> None:
    assert recipe_for(model, data) == recipe
    assert recipe in RECIPES


def test_the_recipes_that_models_and_attentions_name_are_known() -> None:
    named = {model.recipe for model in MODELS.values()} | {attention.recipe for attention in ATTENTIONS.values()}
    assert named - {None} == set(FAMILIES)


@pytest.fixture(scope="module")
def splits() -> tuple[Split, Split]:
    train, test = (load_split("digits", split, limit=30, image_size=8) for split in ("train", "test"))
    return train, test


def train(output: Path, splits: tuple[Split, Split], recipe: Recipe, **options: Any) -> list[Path]:
    runs = train_networks(
        "resnet20", *splits, recipe=recipe, recipe_name="short", output=output, device="cpu", progress=False, **options
    )
    return [run.checkpoint.parent for run in runs]


def test_a_recipe_says_how_many_runs_unless_they_are_asked_for(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    recipe = Recipe(epochs=2, batch_size=16, learning_rate_batch=8, seeds=2)
    said: list[str] = []
    assert [folder.name for folder in train(tmp_path, splits, recipe, report=said.append)] == ["seed0", "seed1"]
    assert said == [
        "recipe short: 2 epochs, 16 images a step, sgd, learning rate 0.2, cosine, 2 runs",
        "trained on 30 images of digits (train), tested on 30 images of digits (test)",
    ]
    assert train(tmp_path / "one", splits, recipe, seeds=1) == [tmp_path / "one"]


def test_a_recipes_normalization_is_used_and_kept_with_the_recipe(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    recipe = Recipe(epochs=1, schedule="steps", milestones=(1,), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    train(tmp_path, splits, recipe)
    meta = load_checkpoint(tmp_path / "model.safetensors").meta
    assert meta["mean"] == pytest.approx([0.1, 0.2, 0.3])
    assert meta["std"] == pytest.approx([0.4, 0.5, 0.6])
    assert meta["recipe"]["name"] == "short"
    assert json.loads(json.dumps(meta["recipe"]))["milestones"] == [1]


def test_without_one_it_is_that_of_the_training_images(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    train(tmp_path, splits, Recipe(epochs=1))
    meta = load_checkpoint(tmp_path / "model.safetensors").meta
    mean, std = splits[0].channel_statistics()
    assert (meta["mean"], meta["std"]) == (pytest.approx(mean), pytest.approx(std))


def test_no_runs_at_all_are_refused(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    with pytest.raises(ValueError, match="`seeds` must be at least 1, got 0"):
        train(tmp_path, splits, Recipe(epochs=1), seeds=0)


def test_what_is_held_out_is_said_and_kept_in_the_checkpoint(tmp_path: Path) -> None:
    images = np.arange(20 * 64, dtype=np.uint8).reshape(20, 8, 8)
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(20) % 2)
    name, said = f"npz:{tmp_path / 'own.npz'}", list[str]()
    splits = load_train_and_test(name, seed=5)
    train(tmp_path / "out", splits, Recipe(epochs=1, batch_size=16, learning_rate_batch=8), seed=5, report=said.append)
    assert said[1] == (
        "trained on 16 images of npz:own.npz, tested on 4 images held out of npz:own.npz (20 % of each class, seed 5)"
    )
    meta = load_checkpoint(tmp_path / "out" / "model.safetensors").meta
    assert meta["data"] == {"name": name, "images": 16}
    assert meta["test"] == {"name": name, "split": "held out", "images": 4, "share": 0.2, "seed": 5}
