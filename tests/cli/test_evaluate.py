"""`gradscape evaluate`: one command from checkpoints to scores with intervals."""

from pathlib import Path

import numpy as np
import pytest

from gradscape.models import load_checkpoint
from tests.cli.conftest import Command
from tests.studies.networks import save_network

SMALL = ("--data", "digits", "--limit", 60, "--device", "cpu")


def test_two_networks_are_scored_and_compared(gradscape: Command, tmp_path: Path) -> None:
    files = [save_network(tmp_path / folder, "resnet20", seed=seed) for seed, folder in enumerate("ab")]
    done = gradscape("evaluate", *files, *SMALL, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    for part in (
        "network score value interval images",
        "top-5 (%)",
        "top-1 (%) a − b",
        "60 of 355 images of digits (test)",
        "95 % intervals over images: loss Student's, top-1 Wilson's, top-5 Wilson's, calibration error bootstrap; ",
        "2 comparisons, paired over images: their intervals hold together with 95 % (Bonferroni)",
    ):
        assert part in told, done.out
    assert f"wrote {tmp_path / 'out' / 'evaluation.csv'}" in done.out
    assert not any("scores" in load_checkpoint(file).meta for file in files)


def test_one_network_gets_its_scores_on_request(gradscape: Command, tmp_path: Path) -> None:
    file = save_network(tmp_path, "resnet20")
    done = gradscape("evaluate", file, *SMALL, "--store", "--format", "svg", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert done.out.splitlines()[-1] == f"stored in {file}"
    assert 0 <= load_checkpoint(file).meta["scores"]["test_accuracy"] <= 1
    names = {path.name for path in (tmp_path / "out").iterdir()}
    expected = {"answers.npz", "confusion.csv", "confusion.svg", "confusion.txt", "evaluation.csv", "evaluation.json"}
    assert names == expected


def test_wrong_data_is_one_line_and_nothing_is_written(
    gradscape: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images = np.zeros((6, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "pets.npz", images=images, labels=np.arange(6) % 3, classes=["cat", "dog", "hen"])
    done = gradscape("evaluate", checkpoint, "--data", "npz:pets.npz")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "gradscape: npz:pets.npz has 3 classes, but resnet20 tells 10 apart: take images of its own classes; data of "
        "which only some occur must name all of them\n"
    )
    assert not (tmp_path / "evaluation").exists()


def test_scores_of_training_images_are_refused_before_the_work(gradscape: Command, tmp_path: Path) -> None:
    file = save_network(tmp_path, "resnet20", data={"name": "digits", "images": 1442})
    done = gradscape("evaluate", file, *SMALL, "--split", "train", "--store", "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "gradscape: `--store` keeps scores of a test, but resnet20 was trained with images of digits (train): evaluate "
        "it on others, or without `--store`\n"
    )
    assert not (tmp_path / "out").exists()
