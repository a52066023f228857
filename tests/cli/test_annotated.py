"""Detectors and segmenters by the commands that a user types: trained, evaluated, and refused in a line."""

from pathlib import Path

import pytest

from gradscape.models import load_checkpoint
from tests.cli.conftest import Command
from tests.shapes import draw_pictures, write_coco, write_voc
from tests.studies.networks import save_network

TINY = ("--image-size", 64, "--limit", 2, "--epochs", 1, "--device", "cpu")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that commands run in, with pictures of shapes in both formats."""
    monkeypatch.chdir(tmp_path)
    splits = draw_pictures(3, seed=0), draw_pictures(2, seed=1)
    for split, pictures in zip(("train2017", "val2017"), splits, strict=True):
        write_coco(tmp_path / "shapes", pictures, split)
    write_voc(tmp_path / "pixels", train=splits[0], val=splits[1])
    return tmp_path


def test_a_detector_is_trained_and_evaluated(gradscape: Command, here: Path) -> None:
    done = gradscape("train", "retinanet:resnet18", "--data", "coco:shapes", *TINY, "-o", "run")
    assert done.code == 0, done.err
    assert done.out.startswith("recipe spanet_retinanet: 1 epoch, 16 images a step, sgd, learning rate 0.01, ")
    assert "it is the recipe of SPANet, table VI (RetinaNet)" in done.out
    assert "trained on 2 images of coco:shapes (train), tested on 2 images of coco:shapes (val)" in done.out
    assert "\ntest AP50 " in done.out
    assert (here / "run" / "curves.png").stat().st_size > 0
    checkpoints = ("run/model.safetensors", "run/best.safetensors")
    found = gradscape("evaluate", *checkpoints, "--data", "coco:shapes", "--device", "cpu", "-o", "scores")
    assert found.code == 0, found.err
    told = " ".join(found.out.split())
    assert "network of AP (%) interval AP50 AP75 small medium large boxes model boxes" in told
    assert "2 images of coco:shapes (val)" in told
    for name in (
        "evaluation.csv",
        "evaluation_classes.csv",
        "evaluation.json",
        "best/detections.csv",
        "model/images.csv",
    ):
        assert (here / "scores" / name).exists()


def test_a_segmenter_is_trained_and_evaluated(gradscape: Command, here: Path) -> None:
    done = gradscape("train", "deeplabv3:resnet18", "--data", "voc:pixels", *TINY, "-o", "run")
    assert done.code == 0, done.err
    assert done.out.startswith("recipe deeplabv3: 1 epoch, 16 images a step, sgd, learning rate 0.01, cosine\n")
    assert "\ntest mean IoU " in done.out
    scores = load_checkpoint(here / "run" / "model.safetensors").meta["scores"]
    found = gradscape("evaluate", "run/model.safetensors", "--data", "voc:pixels", "--device", "cpu", "-o", "scores")
    assert found.code == 0, found.err
    assert "network mean IoU (%) interval pixel accuracy (%) interval pixels" in " ".join(found.out.split())
    assert f" {100 * scores['test_iou']:.2f} " in found.out
    written = {path.name for path in (here / "scores").iterdir()}
    assert written == {"evaluation.csv", "evaluation_classes.csv", "evaluation.json", "images.csv"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("retinanet:resnet18", "--data", "digits"),
            "`--data` digits has a class for each image, but retinanet:resnet18",
        ),
        (("resnet18", "--data", "coco:shapes"), "but resnet18 takes a class for each image: give data with classes"),
        (("fcos:resnet18", "resnet18", "--data", "coco:shapes"), "`MODEL` must be of one kind"),
        (
            ("fcos:resnet18", "--data", "coco:shapes", "--recipe", "upanets"),
            "`--recipe` upanets has the loss cross_entr",
        ),
        (("fcos:resnet18", "--data", "coco:shapes", "--loss", "focal"), "take no other `--loss`"),
        (("fcos:resnet18", "--data", "coco:nowhere"), "`coco:nowhere`: there is no folder"),
        (
            ("fcos:resnet18", "--data", "coco:shapes/annotations/instances_train2017.json"),
            "has no split of its own: name pictures to test on by --test",
        ),
        (
            ("resnet20", "--data", "digits", "--limit", 9, "--backbone", "CKPT"),
            "`--backbone` must be left out for resnet20",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    gradscape: Command, here: Path, checkpoint: Path, arguments: tuple[object, ...], text: str
) -> None:
    given = (checkpoint if one == "CKPT" else one for one in arguments)
    done = gradscape("train", *given, "-o", "out")
    assert (done.code, done.out) == (2, ""), done.err
    assert text in done.err
    assert done.err.count("\n") == 1, done.err
    assert not (here / "out").exists()


def test_what_cannot_be_evaluated_is_one_line(gradscape: Command, here: Path, checkpoint: Path) -> None:
    detector = save_network(here, "fcos:resnet18", image_size=64)
    for arguments, text in (
        ((detector, "--data", "digits"), "`--data` digits has a class for each image, but fcos:resnet18 takes boxes"),
        ((checkpoint, "--data", "coco:shapes"), "but resnet20 takes a class for each image"),
        ((detector, checkpoint, "--data", "coco:shapes"), "`CKPT` must be of one kind"),
        ((detector, "--data", "coco:shapes", "--store"), "`--store` must be left out for detectors and segmenters"),
        ((detector, "--data", "coco:shapes"), "the 10 classes that the network tells apart, but coco:shapes has 3"),
    ):
        done = gradscape("evaluate", *arguments, "-o", "out")
        assert (done.code, done.out) == (2, ""), done.err
        assert text in done.err
        assert done.err.count("\n") == 1, done.err
        assert not (here / "out").exists()
