import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.data import Split, load_split, load_train_and_test
from gradscape.models import load_checkpoint
from gradscape.models.registry import ATTENTIONS, MODELS
from gradscape.studies.papers.published import PUBLISHED, PublishedRow
from gradscape.studies.recipe_choice import describe_choice, recipe_for, shared_recipe
from gradscape.studies.training import train_alike, train_networks
from gradscape.training import RECIPES, Recipe
from gradscape.training.families import BACKBONE, FAMILIES


@pytest.mark.parametrize(
    ("model", "data", "recipe"),
    [
        ("attention92", "digits", "digits"),
        ("upanet16", "cifar10", "upanets"),
        ("upanet64_final_gap@groups=2", "npz:cifar10.npz", "upanets_ablation"),
        ("upanet16_final_gap", "cifar100", "upanets_ablation_cifar100"),
        ("upanet16@groups=2", "cifar10", "upanets_ablation"),
        ("upanet32@cpa_shortcut=false", "cifar10", "upanets"),
        ("upanet16", "cifar100", "upanets_cifar100"),
        ("upanet64", "tiny_imagenet", "upanets_tiny_imagenet"),
        ("resnet56_noshort", "fashion_mnist", "upanets"),
        ("timm:resnet50", "folder:pets", "upanets"),
        ("package.module:function", "cifar10", "upanets"),
        ("cifar_resnet50+bam", "cifar10", "upanets"),
        ("cifar_resnet50+spa_b", "cifar100", "spanet"),
        ("cifar_resnet50+se_c@reduction=8", "cifar100", "spanet"),
        ("cifar_mobilenet_v2+spa_a", "tiny_imagenet", "spanet_downsampled_imagenet"),
        ("resnet50", "imagenet", "spanet_imagenet_resnet"),
        ("mobilenet_v1", "imagenet", "ulsam_mobilenet_v1"),
        ("mobilenet_v2", "imagenet", "spanet_imagenet_mobilenet_v2"),
        ("mobilenet_v1", "cub200", "ulsam_mobilenet_v1_fine_grained"),
        ("cifar_resnet18", "imagenet32", "spanet_downsampled_imagenet"),
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
        ("attention164", "cifar10", "residual_attention_92_cifar10"),
        ("attention56_imagenet", "imagenet", "spanet_imagenet_resnet"),
        ("cifar_resnet50+bam+ba2m", "cifar100", "ba2m"),
        ("resnet18+ba2m@reduction=16", "imagenet", "ba2m_imagenet"),
    ],
)
def test_a_model_and_its_data_have_the_recipe_of_the_models_paper(model: str, data: str, recipe: str) -> None:
    assert recipe_for(model, data) == recipe
    assert recipe in RECIPES


def test_the_recipes_that_models_and_attentions_name_are_known() -> None:
    named = {model.recipe for model in MODELS.values()} | {attention.recipe for attention in ATTENTIONS.values()}
    assert named - {None} == set(FAMILIES) - {BACKBONE}


_VARIANTS = ("final_gap", "final_spa", "exc_gap", "exc_spa")
_ON_IMAGENET = ("imagenet", "resnet50", "resnet50+se", "resnet50+bam", "resnet50+cbam", "resnet50+ba2m")
_MV1 = tuple(f"mobilenet_v1+ulsam@after=8:9,replace=11,groups={groups}" for groups in (1, 2, 4, 8, 16))
_MV2 = ("mobilenet_v2+ulsam@replace=14:17", "mobilenet_v2+ulsam@replace=13:14:16:17,groups=4")

# Paper, table -> recipe, data set, and networks of its rows.
TABLES: dict[tuple[str, str], tuple[str, ...]] = {
    ("upanets", "2"): ("upanets_ablation", "cifar10", "upanet16", *(f"upanet16_{one}" for one in _VARIANTS)),
    ("upanets", "2 "): ("upanets_ablation_cifar100", "cifar100", "upanet16", *(f"upanet16_{one}" for one in _VARIANTS)),
    ("upanets", "3"): ("upanets_ablation", "cifar10", "upanet16_no_cpa", "upanet16", "upanet16@groups=2,shuffle=true"),
    ("upanets", "4"): ("upanets", "cifar10", "upanet16", "upanet64", "cifar_resnet18", "cifar_mobilenet_v2"),
    ("upanets", "5"): ("upanets_cifar100", "cifar100", "upanet16", "upanet64", "cifar_resnet50"),
    ("upanets", "6"): ("upanets_tiny_imagenet", "tiny_imagenet", "upanet64", "cifar_preact_resnet18"),
    ("upanets", "7"): ("upanets_ablation", "cifar10", "upanet16_conv", "upanet16"),
    ("upanets", "8"): ("upanets_ablation", "cifar10", "upanet16_slim", "upanet16"),
    ("spanet", "I"): (
        "spanet",
        "cifar100",
        "cifar_vgg16",
        "cifar_vgg16+se",
        "cifar_densenet121+ge",
        "cifar_vgg16+spa_a",
    ),
    ("spanet", "II"): ("spanet_downsampled_imagenet", "imagenet32", "cifar_mobilenet_v2", "cifar_resnet18+spa_c"),
    ("spanet", "III"): (
        "spanet_imagenet_resnet",
        "imagenet",
        "resnet50",
        "resnet50+ge",
        "resnet50+cbam",
        "resnet50+spa_a",
    ),
    ("spanet", "III "): ("spanet_imagenet_mobilenet_v2", "imagenet", "mobilenet_v2", "mobilenet_v2+spa_a"),
    ("spanet", "IV"): (
        "spanet",
        "cifar100",
        "cifar_preact_resnet18+se",
        "cifar_preact_resnet18+se_b",
        "resnet20+spa_b",
    ),
    ("spanet", "V"): ("spanet_imagenet_resnet", "imagenet", "resnet50", "resnet50+spa_a@scales=4:2:1"),
    ("ulsam", "6"): ("ulsam_mobilenet_v1", "imagenet", "mobilenet_v1", "mobilenet_v1+ulsam@after=11"),
    ("ulsam", "6 "): ("ulsam_mobilenet_v2", "imagenet", "mobilenet_v2", "mobilenet_v2+ulsam@after=17"),
    ("ulsam", "7"): ("ulsam_mobilenet_v1", "imagenet", "mobilenet_v1", "mobilenet_v1@width=0.5", *_MV1),
    ("ulsam", "8"): ("ulsam_mobilenet_v2", "imagenet", "mobilenet_v2", *_MV2),
    ("ulsam", "9"): ("ulsam_mobilenet_v1_fine_grained", "food101", "mobilenet_v1", *_MV1),
    ("ulsam", "11"): ("ulsam_mobilenet_v2_fine_grained", "cub200", "mobilenet_v2", *_MV2),
    ("residual_attention", "30"): ("residual_attention_cifar10", "cifar10", "attention56", "attention56@learning=nal"),
    ("ba2m", "I"): ("ba2m", "cifar100", "cifar_resnet50", "cifar_resnet50+ba2m", "cifar_wide_resnet28_8"),
    ("ba2m", "II"): ("ba2m_imagenet", "imagenet", "resnet18", "resnet18+ba2m", "wide_resnet18_2+ba2m"),
    ("ba2m", "V"): ("ba2m_imagenet", *_ON_IMAGENET),
    ("ba2m", "VI"): ("ba2m", "cifar100", "cifar_resnet50", "cifar_resnet50+se", "cifar_resnet50+bam+ba2m"),
    ("ba2m", "IX"): ("ba2m", "cifar100", "cifar_resnet50+ba2m@stages=1", "cifar_resnet50+ba2m"),
    ("ba2m", "X"): ("ba2m", "cifar100", "cifar_mobilenet_v2", "cifar_mobilenet_v2+ba2m", "cifar_shufflenet_v2"),
    ("ba2m", "XI"): ("ba2m", "cifar100", "cifar_resnet101+se", "cifar_resnet101", "cifar_resnet101+ba2m"),
}


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_the_rows_of_a_papers_table_are_trained_alike(paper: str, table: str) -> None:
    recipe, data, *networks = TABLES[paper, table]
    assert shared_recipe(networks, data) == shared_recipe(networks[::-1], data) == recipe


def test_the_rows_of_every_published_table_are_trained_alike() -> None:
    tables: dict[tuple[str, str, str, str], list[str]] = {}
    for row in PUBLISHED:
        if row.model and (row.accuracy or row.error):
            tables.setdefault((row.paper, row.table, row.data, kind_trained_apart(row)), []).append(row.model)
    assert tables
    for (paper, table, data, kind), networks in tables.items():
        recipe = shared_recipe(networks, data)
        # The report trained nothing on ImageNet: what it quotes of it is trained as a ResNet.
        quoted = (paper, data) == ("residual_attention", "imagenet")
        assert recipe.startswith("spanet_imagenet_resnet" if quoted else paper), (table, data, kind)
        known = {one for (of, number), (one, *_) in TABLES.items() if (of, number.strip()) == (paper, table)}
        assert not known or recipe.removesuffix("_cifar100").removesuffix("_cifar10") in {
            one.removesuffix("_cifar100").removesuffix("_cifar10") for one in known | {"residual_attention_92"}
        }


def kind_trained_apart(row: PublishedRow) -> str:
    """What a paper trains in another way than the rest of a table, as it says: MobileNets, and the deeper network."""
    network = row.model.partition("+")[0].partition("@")[0]
    kinds = {
        "residual_attention": ("attention92", "attention128", "attention164"),
        "spanet": ("mobilenet_v2",),
        "ulsam": ("mobilenet_v2",),
    }
    return next((kind for kind in kinds.get(row.paper, ()) if network.startswith(kind)), "")


def test_a_choice_is_told_by_its_table_and_a_baselines_with_the_others() -> None:
    assert describe_choice("ba2m", ["cifar_resnet50", "cifar_resnet50+ba2m"], "cifar100") == (
        "it is the recipe of BA²M, tables I, VI to XI and XIII"
    )
    assert describe_choice("upanets_cifar100", ["cifar_resnet50"], "cifar100") == (
        "it is the recipe of UPANets, table 5; as a baseline of another paper: `--recipe` ba2m or spanet"
    )
    assert describe_choice("digits", ["resnet20"], "digits") == ""


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
        "trained on 30 images of digits (train), tested on 30 of 355 images of digits (test)",
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


def test_several_networks_are_trained_alike_each_into_its_folder(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    recipe, said = Recipe(epochs=1, batch_size=16, loss="focal"), list[str]()
    options: dict[str, Any] = {"recipe": recipe, "recipe_name": "ba2m", "seed": 3, "device": "cpu", "progress": False}
    names = ["resnet20", "resnet20@shortcut=none"]
    trained = train_alike(names, *splits, output=tmp_path, report=said.append, **options)
    assert list(trained) == names
    metas = [load_checkpoint(tmp_path / name / "model.safetensors").meta for name in names]
    assert metas[0]["recipe"] == metas[1]["recipe"]
    assert [meta["scores"]["seed"] for meta in metas] == [3, 3]
    assert said == [
        "recipe ba2m: 1 epoch, 16 images a step, sgd, learning rate 0.1, cosine, focal loss",
        "it is the recipe of BA²M, tables I, VI to XI and XIII",
        "trained on 30 images of digits (train), tested on 30 of 355 images of digits (test)",
        "network 1 of 2: resnet20",
        "network 2 of 2: resnet20@shortcut=none",
    ]
    before = (tmp_path / "resnet20" / "model.safetensors").stat().st_mtime_ns
    again = train_alike(names, *splits, output=tmp_path, **options)
    assert (tmp_path / "resnet20" / "model.safetensors").stat().st_mtime_ns == before
    assert [runs[0].final_accuracy for runs in again.values()] == [runs[0].final_accuracy for runs in trained.values()]


def test_nothing_is_trained_where_one_of_several_cannot_be(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    options: dict[str, Any] = {"recipe": Recipe(epochs=1), "recipe_name": "short", "output": tmp_path / "out"}
    with pytest.raises(ValueError, match="`models` must be different networks, got resnet20 twice"):
        train_alike(["resnet20", "resnet20"], *splits, **options)
    with pytest.raises(ValueError, match="unknown `model` 'resnet21'"):
        train_alike(["resnet20", "resnet21"], *splits, **options)
    assert not (tmp_path / "out").exists()


def test_a_schedule_whose_steps_are_never_reached_is_told(tmp_path: Path, splits: tuple[Split, Split]) -> None:
    said: list[str] = []
    train(tmp_path, splits, Recipe(epochs=1, schedule="steps", milestones=(1, 3)), report=said.append)
    assert said[0].endswith("learning rate 0.1, steps that all come after the last epoch")
