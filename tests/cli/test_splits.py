"""Data without a split of their own, and of other classes, by the commands that a user types."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.explain.embedding import Embedding
from gradscape.landscape import Line, Surface
from gradscape.models import load_checkpoint
from tests.cli.conftest import Command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that commands run in, with 60 images of ten classes, some of them also in a file of their own."""
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16), dtype=np.uint8)
    labels = np.arange(60) % 10
    np.savez("own.npz", images=images, labels=labels)
    np.savez("other.npz", images=images[:20], labels=labels[:20][::-1].copy())
    np.savez("pets.npz", images=images, labels=labels % 3, classes=np.array(["ape", "bee", "cat"]))
    return tmp_path


TRAIN = ("train", "resnet20", "--data", "npz:own.npz", "--epochs", 1, "--device", "cpu")


def test_training_holds_a_part_out_and_says_so(gradscape: Command, here: Path) -> None:
    done = gradscape(*TRAIN, "--seed", 3, "-o", "run")
    assert done.code == 0, done.err
    assert done.out.splitlines()[2] == (
        "trained on 50 images of npz:own.npz, tested on 10 images held out of npz:own.npz (20 % of each class, seed 3)"
    )
    meta = load_checkpoint(here / "run" / "model.safetensors").meta
    assert meta["test"] == {"name": "npz:own.npz", "split": "held out", "images": 10, "share": 0.2, "seed": 3}


@pytest.mark.slow
def test_another_data_set_is_tested_on(gradscape: Command, here: Path) -> None:
    done = gradscape(*TRAIN, "--test", "npz:other.npz", "-o", "run")
    assert done.code == 0, done.err
    assert "trained on 60 images of npz:own.npz (all), tested on 20 images of npz:other.npz (all)\n" in done.out
    refused = gradscape(*TRAIN, "--test", "npz:own.npz", "-o", "run2")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "gradscape: `npz:own.npz` gives the images that are trained on as test images: name others by --test\n"
    )
    assert not (here / "run2").exists()


@pytest.mark.slow
def test_an_array_file_is_called_all_and_a_network_that_only_guesses_is_named(
    gradscape: Command, checkpoint: Path, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = ("--data", "npz:own.npz", "--device", "cpu")
    done = gradscape("line", checkpoint, *data, "--split", "test", "--steps", 2, "-q", "-o", "line")
    assert done.code == 0, done.err
    meta = Line.load(here / "line" / "line.h5").meta
    assert (meta["split"], meta["at_chance"]) == ("all", ["resnet20"])
    assert gradscape("landscape", checkpoint, *data, "--dry-run", "-o", "out").code == 0
    assert [" of 60 images of npz:own.npz right, which is no better than" in said for said in caplog.messages] == [
        True, True
    ]  # fmt: skip


@pytest.mark.slow
def test_surfaces_and_embeddings_keep_that_a_network_only_guesses(
    gradscape: Command, checkpoint: Path, here: Path
) -> None:
    data = ("--data", "npz:own.npz", "--device", "cpu", "-q")
    assert gradscape("landscape", checkpoint, *data, "--span", 1, "--steps", 2, "-o", "surface").code == 0
    assert gradscape("tsne", checkpoint, *data, "--perplexity", 9, "-o", "points").code == 0
    surface, points = Surface.load(here / "surface" / "surface.h5"), Embedding.load(here / "points" / "embedding.npz")
    for meta in (surface.meta, points.meta):
        assert (meta["split"], meta["at_chance"]) == ("all", ["resnet20"])


@pytest.mark.parametrize("command", ["landscape", "line"])
def test_images_of_other_classes_are_refused_before_the_run(
    gradscape: Command, checkpoint: Path, here: Path, command: str
) -> None:
    done = gradscape(command, checkpoint, "--data", "npz:pets.npz", "-o", "out")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "gradscape: npz:pets.npz has 3 classes, but resnet20 tells 10 apart: take images of its own classes; data of "
        "which only some occur must name all of them\n"
    )
    assert not (here / "out").exists()


@pytest.mark.slow
def test_features_of_other_classes_are_embedded_with_a_warning(
    gradscape: Command, checkpoint: Path, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = gradscape("tsne", checkpoint, "--data", "npz:pets.npz", "--perplexity", 9, "--device", "cpu", "-o", "out")
    assert done.code == 0, done.err
    assert caplog.messages == [
        "npz:pets.npz has 3 classes, but resnet20 tells 10 apart: its features are of another task, the colors are the "
        "data's classes"
    ]
    assert "at_chance" not in Embedding.load(here / "out" / "embedding.npz").meta


@pytest.mark.parametrize(("recipe", "hold"), [("ulsam_mobilenet_v1_fine_grained", False), ("upanets", True)])
def test_photographs_are_decoded_ahead_only_where_training_takes_them_cut(
    recipe: str, hold: bool, gradscape: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def noted(name: str, **options: Any) -> None:
        asked.update(options)
        raise ValueError(f"`name` {name}: enough seen")

    monkeypatch.setattr("gradscape.studies.training_data.load_train_and_test", noted)
    assert "enough seen" in gradscape(*TRAIN, "--recipe", recipe, "-o", "run").err
    assert asked["hold"] is hold
