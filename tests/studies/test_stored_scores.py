"""Scores in a checkpoint's metadata: weights keep their bytes, figures and reports find them."""

from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from gradscape._arrays import load_arrays
from gradscape.data import load_split
from gradscape.models import count_parameters, load_checkpoint
from gradscape.studies.evaluation import Evaluation, evaluate_networks
from gradscape.studies.papers.catalog import make_figure
from gradscape.studies.report.trainings import TRAININGS
from gradscape.studies.stored_scores import check_storable, store_scores
from gradscape.studies.tested_images import scored_elsewhere
from tests.studies.networks import save_network
from tests.studies.test_evaluation import acting_network

TRAINED: dict[str, Any] = {
    "data": {"name": "digits", "images": 1442},
    "recipe": {"name": "digits", "epochs": 2},
    "test": {"name": "npz:mine.npz", "split": "all", "images": 9},
    "scores": {"epoch": 2, "seed": 3, "train_loss": 0.5, "test_accuracy": 0.25, "test_loss": 9.0},
}


def weights(path: Path) -> bytes:
    """The part of the file behind its header."""
    content = path.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def evaluated(path: Path, *, limit: int | None = 40) -> Evaluation:
    models = {"net": load_checkpoint(path)}
    found = evaluate_networks(models, load_split("digits", "test", limit=limit))
    assert store_scores(models, found) == [str(path)]
    return found


@pytest.mark.slow
def test_an_imported_checkpoint_enters_a_figure(tmp_path: Path) -> None:
    path = save_network(tmp_path, "upanet16", imported={"file": "theirs.pt"})
    with pytest.raises(ValueError, match="gradscape evaluate CKPT --data D --store"):
        make_figure("upanets:10", [path], tmp_path)
    before = weights(path)
    found = evaluated(path).scores["net"]
    assert weights(path) == before
    meta = load_checkpoint(path).meta
    assert meta["scores"]["test_accuracy"] == found["top1"].value
    kept = meta["scores"]["intervals"]["test_accuracy"]
    assert (kept["low"], kept["high"], kept["confidence"]) == (found["top1"].low, found["top1"].high, 0.95)
    assert meta["test"] == {"name": "digits", "split": "test", "images": 40, "population": 355}
    assert meta["imported"] == {"file": "theirs.pt"}
    make_figure("upanets:10", [path], tmp_path)
    arrays, told = load_arrays(tmp_path / "upanets_10.npz")
    assert arrays["accuracy"][-1] == pytest.approx(100 * found["top1"].value)
    assert arrays["size"][-1] == count_parameters(load_checkpoint(path)) / 1e6
    assert "own: of a training that is not recorded, tested on 40 of 355 images of digits (test)" in told["caption"]


def test_what_a_training_said_stays(tmp_path: Path) -> None:
    path = save_network(tmp_path, "resnet20", **TRAINED)
    for limit in (40, None):
        found = evaluated(path, limit=limit)
    meta = load_checkpoint(path).meta
    assert {name: meta["scores"][name] for name in ("epoch", "seed", "train_loss")} == {
        "epoch": 2, "seed": 3, "train_loss": 0.5
    }  # fmt: skip
    assert meta["scores"]["test_loss"] == found.scores["net"]["loss"].value
    assert meta["training_test"] == TRAINED["test"]
    assert meta["test"]["name"] == "digits"
    assert scored_elsewhere(meta) == ""


def test_a_report_trains_again_with_the_training_s_own_test(tmp_path: Path) -> None:
    from gradscape.studies.report.collect import collect
    from gradscape.studies.report.networks import sort_by_network

    path = save_network(tmp_path, "resnet20", **TRAINED)
    before = TRAININGS.commands(sort_by_network(collect([tmp_path])))
    assert "--test npz:mine.npz" in before[0]
    evaluated(path)
    assert TRAININGS.commands(sort_by_network(collect([tmp_path]))) == before


def test_scores_of_training_images_are_not_stored(tmp_path: Path) -> None:
    models = {"net": load_checkpoint(save_network(tmp_path, "resnet20", **TRAINED))}
    check_storable(models, load_split("digits", "test", limit=10))
    with pytest.raises(ValueError, match=r"net was trained with images of digits \(train\): evaluate it on others"):
        check_storable(models, load_split("digits", "train", limit=10))


def test_another_entry_of_the_file_and_the_link_to_it_stay(tmp_path: Path) -> None:
    path = save_network(tmp_path, "resnet20")
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    evaluated(link)
    assert link.is_symlink()
    with safe_open(path, framework="pt") as file:
        assert "test_accuracy" in file.metadata()["gradscape"]


def test_scores_that_depend_on_the_batches_are_refused(tmp_path: Path) -> None:
    models = {"acting": acting_network(tmp_path)}
    with pytest.raises(
        ValueError, match="`store` keeps scores that hold for any batches, but acting weighs the images"
    ):
        check_storable(models, load_split("digits", "test", limit=10))
