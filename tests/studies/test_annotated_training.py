"""Detectors trained by name: checkpoints, a backbone to begin with, and what is made of such trainings."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradscape.data import AnnotatedSplit, load_annotated_train_and_test
from gradscape.data.source import IMAGENET
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from gradscape.studies.compare import compare_found
from gradscape.studies.comparison import tabulate_means
from gradscape.studies.drawing import draw_trainings
from gradscape.studies.report import write_report
from gradscape.studies.report.provenance import rebuild_commands
from gradscape.studies.report.trainings import seed_tables
from gradscape.studies.training import describe_runs, train_alike, train_networks
from gradscape.studies.training_identity import identify_training
from gradscape.training import Recipe
from tests.shapes import CLASSES, draw_pictures, write_coco
from tests.studies.report.test_report import networks_in

SIDE, NAME = 64, "retinanet:resnet18+spa_a@scales=2:1"
RECIPE = Recipe(epochs=1, batch_size=2, learning_rate=1e-3, crop_padding=0, loss="detection_loss")

Splits = tuple[AnnotatedSplit[Any], AnnotatedSplit[Any]]


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Splits:
    root = tmp_path_factory.mktemp("shapes")
    write_coco(root, draw_pictures(2, seed=0), "train2017")
    write_coco(root, draw_pictures(2, seed=1), "val2017")
    return load_annotated_train_and_test(f"coco:{root}", kind="boxes", image_size=SIDE)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier as it would come out of a training."""
    path = tmp_path_factory.mktemp("backbone") / "resnet18.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = create_model("resnet18+spa_a@scales=2:1", num_classes=5, image_size=32)
    mean, std = IMAGENET
    save_checkpoint(path, net, name="resnet18+spa_a@scales=2:1", num_classes=5, image_size=32, mean=mean, std=std)
    return path


@pytest.fixture(scope="module")
def runs(splits: Splits, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds, begun with the backbone."""
    folder = tmp_path_factory.mktemp("runs") / "retinanet"
    train(splits, folder, backbone=backbone, seeds=2)
    return folder


def train(splits: Splits, folder: Path, **options: Any) -> Any:
    settings: dict[str, Any] = {"recipe": RECIPE, "recipe_name": "spanet_retinanet", "device": "cpu", "progress": False}
    return train_networks(NAME, *splits, output=folder, **{**settings, **options})


def test_a_checkpoint_tells_what_it_was_trained_with_and_reached(runs: Path, splits: Splits, backbone: Path) -> None:
    model = load_checkpoint(runs / "seed1" / "model.safetensors")
    meta, (mean, std) = model.meta, IMAGENET
    assert model.labels == list(CLASSES)
    assert (meta["name"], meta["num_classes"], meta["image_size"]) == (NAME, 3, SIDE)
    assert (meta["mean"], meta["std"]) == (pytest.approx(mean), pytest.approx(std))
    assert meta["recipe"]["loss"] == "detection_loss"
    assert meta["data"] == {"name": splits[0].name, "images": 2}
    assert meta["test"] == {"name": splits[1].name, "split": "val", "images": 2}
    assert {"test_ap", "test_ap50", "test_loss", "train_loss"} <= meta["scores"].keys()
    assert meta["backbone"]["checkpoint"] == str(backbone)


def test_a_training_begins_with_the_weights_of_its_backbone(splits: Splits, backbone: Path, tmp_path: Path) -> None:
    still = Recipe(**{**vars(RECIPE), "learning_rate": 1e-12, "momentum": 0.0, "weight_decay": 0.0})
    train(splits, tmp_path, recipe=still, backbone=backbone)
    known = dict(load_checkpoint(backbone).network.named_parameters())
    found: Any = load_checkpoint(tmp_path / "model.safetensors").network
    for name, parameter in found.backbone.named_parameters():
        torch.testing.assert_close(parameter, known[name])
    with pytest.raises(ValueError, match=r"`started_from` was [0-9a-f]{16}, is None; choose another folder"):
        train(splits, tmp_path, recipe=still)


def test_a_classifier_takes_no_backbone(splits: Splits, backbone: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`backbone` must be left out for resnet18, which is no detector or segmenter"):
        train_networks(
            "resnet18", *splits, recipe=RECIPE, recipe_name="own", output=tmp_path / "out", backbone=backbone
        )
    assert not (tmp_path / "out").exists()


def test_trainings_that_begin_with_other_weights_are_not_the_same_network(runs: Path) -> None:
    meta = load_checkpoint(runs / "seed0" / "model.safetensors").meta
    other = {**meta, "backbone": {**meta["backbone"], "weights": "0" * 16}}
    moved = {**meta, "backbone": {**meta["backbone"], "checkpoint": "elsewhere"}}
    alike = [found.alike for found in map(identify_training, (meta, other, moved)) if found is not None]
    assert alike[0] == alike[2] != alike[1]


def test_a_summary_of_seeds_has_their_average_precision(runs: Path) -> None:
    with (runs / "summary.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert {"test_ap50_median", "test_ap_mean", "best_ap50_max", "test_loss_std"} <= row.keys()
    assert "best_accuracy_mean" not in row
    tables = [np.genfromtxt(runs / f"seed{seed}" / "metrics.csv", delimiter=",", names=True) for seed in (0, 1)]
    assert float(row["test_ap50_mean"]) == pytest.approx(np.mean([table["test_ap50"] for table in tables]))


@pytest.mark.slow
def test_what_a_training_reached_is_told_by_its_own_score(splits: Splits, tmp_path: Path) -> None:
    names = [NAME, "retinanet:resnet18"]
    settings: dict[str, Any] = {"recipe": RECIPE, "recipe_name": "own", "device": "cpu", "progress": False}
    trained = train_alike(names, *splits, output=tmp_path, **settings)
    (run,) = trained["retinanet-resnet18"]
    told = f"{100 * run.metrics['test_ap50'][0]:.2f} %"
    assert describe_runs([run], images=2) == f"test AP50 {told} after the last epoch, {told} after the best"
    written = draw_trainings({title: [one.metrics for one in own] for title, own in trained.items()}, tmp_path)
    assert tmp_path / "curves.png" in written
    assert "test AP50 after the last: " in " ".join((tmp_path / "curves.txt").read_text(encoding="utf-8").split())


def test_trainings_are_compared_by_average_precision(runs: Path) -> None:
    comparison = compare_found([runs])
    assert tabulate_means(comparison)[0][:2] == ("test_ap50 (%)", NAME)
    (lone,) = compare_found([runs / "seed0"], metrics=["best_ap50"]).means.values()
    assert np.isnan(lone["best_ap50"].low)


@pytest.mark.slow
def test_trainings_are_reported_by_average_precision(runs: Path, tmp_path: Path) -> None:
    page = write_report([runs], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Test AP50 over trainings" in page
    networks = networks_in(runs)
    assert [table.caption for table in seed_tables(networks)] == [
        "Test AP50 over trainings, after the last epoch, with 95 % intervals."
    ]
    assert "--backbone" in str(rebuild_commands(networks))
