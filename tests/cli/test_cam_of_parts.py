"""Heatmaps of detectors and segmenters: of boxes and pixels, of whole pictures, and of nothing else."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gradscape.data import load_annotated, load_canvases
from gradscape.explain import Heatmaps, explain_detection, explain_pixels
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from tests.cli.conftest import Command
from tests.shapes import CLASSES, draw_pictures, write_coco

SIDE = 64


def save(path: Path, name: str) -> Path:
    """An untrained network, which finds boxes of all classes everywhere."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create_model(name, num_classes=3, image_size=SIDE)
    for key, parameter in net.named_parameters():
        if key.endswith("cls_logits.bias"):
            nn.init.zeros_(parameter)
    about: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "labels": CLASSES}
    save_checkpoint(path, net, name=name, num_classes=3, image_size=SIDE, **about)
    return path


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("detector") / "fcos.safetensors", "fcos:resnet18+spa_a")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("segmenter") / "deeplabv3.safetensors", "deeplabv3:resnet18+cbam")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set in COCO's format, whose pictures are wider than high."""
    root = tmp_path_factory.mktemp("shapes")
    write_coco(root, draw_pictures(2, seed=0), "train2017")
    return root


@pytest.fixture(scope="module")
def album(shapes: Path) -> Path:
    return shapes / "train2017"


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "cam.csv").open() as file:
        return list(csv.DictReader(file))


def test_pictures_lie_on_canvases_as_those_of_annotated_data(shapes: Path, album: Path) -> None:
    pictures = load_canvases([album], SIDE)
    ((images, _),) = load_annotated(f"coco:{shapes}", "train", image_size=SIDE)
    assert torch.equal(pictures.images, images)
    assert pictures.covered == ((64, 48),) * 2
    assert pictures.cropped(1).shape == (3, 48, 64)


def test_the_surest_box_of_each_picture_is_explained_at_its_level(
    gradscape: Command, detector: Path, album: Path, tmp_path: Path
) -> None:
    done = gradscape("cam", detector, "--images", album, "--method", "hirescam", "--method", "gradcam", "--device",
        "cpu", "-o", tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    model, pictures = load_checkpoint(detector), load_canvases([album], SIDE)
    rows = table_of(tmp_path)
    assert [(row["image"], row["method"]) for row in rows] == [
        (f"00000{number}.png", method) for number in range(2) for method in ("hirescam", "gradcam")
    ]
    for number in range(2):
        expected = explain_detection(model, pictures.images[number : number + 1])
        maps = Heatmaps.load(tmp_path / "fcos-resnet18+spa_a" / f"00000{number}" / "hirescam.npz")
        row = rows[2 * number]
        np.testing.assert_allclose(maps.raw, expected.heatmaps["hirescam"].raw, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(maps.meta["box"], expected.box, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose([float(row[side]) for side in ("x1", "y1", "x2", "y2")], maps.meta["box"])
        assert float(row["score"]) == pytest.approx(expected.score, rel=1e-4)
        assert row["target_layer"] == maps.target_layer == expected.heatmaps["hirescam"].target_layer
        assert row["class"] == CLASSES[expected.class_index]
        assert maps.meta["image_names"] == [f"00000{number}.png"]
    assert (tmp_path / "cam.png").exists()
    assert "target layer" in done.out


def test_a_picture_without_such_a_box_is_named_and_the_others_are_explained(
    gradscape: Command, detector: Path, album: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with torch.no_grad():
        found = load_checkpoint(detector)(load_canvases([album], SIDE).images)
    counts = np.array([[int((one["classes"] == number).sum()) for number in range(3)] for one in found])
    number = int(np.abs(counts[0] - counts[1]).argmax())
    fewer, most = int(counts[:, number].argmin()), int(counts[:, number].max())
    arguments = ("--class", CLASSES[number], "--detection", most - 1, "-q", "--device", "cpu", "-o", tmp_path)
    done = gradscape("cam", detector, "--images", album, *arguments)
    assert done.code == 0, done.err
    assert [row["image"] for row in table_of(tmp_path)] == [f"00000{1 - fewer}.png"]
    assert {row["class"] for row in table_of(tmp_path)} == {CLASSES[number]}
    (line,) = caplog.messages
    assert line.startswith(f"00000{fewer}.png is not explained for fcos-resnet18+spa_a, which finds no detection ")
    done = gradscape("cam", detector, "--images", album, "--detection", 5000, "-o", tmp_path / "none")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "`--images` must show what is explained, but fcos-resnet18+spa_a finds no detection 5000" in done.err


def test_a_segmenter_is_explained_at_the_pixels_of_a_class_or_of_a_region(
    gradscape: Command, segmenter: Path, album: Path, tmp_path: Path
) -> None:
    done = gradscape("cam", segmenter, "--images", album / "000000.png", "--class", "square", "--region", "4,8,30,40",
        "--device", "cpu", "-o", tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    maps = Heatmaps.load(tmp_path / "deeplabv3-resnet18+cbam" / "000000" / "hirescam.npz")
    images = load_canvases([album / "000000.png"], SIDE).images
    options: dict[str, Any] = {"class_index": 1, "region": (4, 8, 30, 40), "target_layer": "backbone.stages.3"}
    expected = explain_pixels(load_checkpoint(segmenter), images, **options)["hirescam"]
    np.testing.assert_allclose(maps.raw, expected.raw, rtol=1e-3, atol=1e-6)
    (row,) = table_of(tmp_path)
    assert float(row["score"]) == pytest.approx(float(expected.probability[0]), rel=1e-4)
    assert [row[side] for side in ("x1", "y1", "x2", "y2")] == ["4.0", "8.0", "30.0", "40.0"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("DETECTOR", "--faithfulness"), "`--faithfulness` says nothing to a detector: measures of faithfulness"),
        (("DETECTOR", "--layer", "x"), "`--layer` says nothing to a detector: a box is explained at the level"),
        (("DETECTOR", "--outputs", "logits"), "`--outputs` says nothing to a detector"),
        (("DETECTOR", "--layout", "channels_first"), "`--layout` says nothing to a detector"),
        (("DETECTOR", "--scale", "shared"), "`--scale` says nothing to a detector"),
        (("DETECTOR", "--class", "cat"), "unknown `--class` 'cat'; known: disk, square, triangle"),
        (("DETECTOR", "--method", "scorecam"), "`--method` must be one of gradcam"),
        (("SEGMENTER",), "`--class` must say which class of a segmenter to explain"),
        (("SEGMENTER", "--class", "disk", "--detection", "1"), "`--detection` says nothing to a segmenter"),
        (("SEGMENTER", "--class", "disk", "--region", "4,8,3"), "`--region` must be x1,y1,x2,y2 in whole pixels"),
        (("SEGMENTER", "--class", "disk", "--region", "0,0,9,60"), "`--region` must be x1, y1, x2, y2 with"),
        (("DETECTOR", "SEGMENTER"), "`CKPT` must be networks of one kind"),
        (("CHECKPOINT", "--detection", "0"), "`--detection` says nothing to a classifier: it finds no boxes"),
    ],
)
def test_a_mistake_is_one_line(
    gradscape: Command,
    detector: Path,
    segmenter: Path,
    checkpoint: Path,
    album: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    text: str,
) -> None:
    places = {"DETECTOR": detector, "SEGMENTER": segmenter, "CHECKPOINT": checkpoint}
    filled = [places.get(argument, argument) for argument in arguments]
    done = gradscape("cam", *filled, "--images", album / "000000.png", "--device", "cpu", "-o", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert text in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_attention_in_the_backbone_is_drawn_and_its_second_stage_fused(
    gradscape: Command, detector: Path, segmenter: Path, album: Path, tmp_path: Path
) -> None:
    for path, block in ((detector, "detector.backbone.body.layer2.0.spa"), (segmenter, "backbone.layer2.0.cbam")):
        done = gradscape("fusion", path, "--images", album / "000000.png", "--device", "cpu", "-o", tmp_path)
        assert done.code == 0, done.err
        assert f"block {block}: " in done.out
        done = gradscape("attention", path, "--images", album, "-q", "--device", "cpu", "-o", tmp_path / path.stem)
        assert done.code == 0, done.err
    assert (tmp_path / "fcos" / "attention_mask.png").exists()
    assert (tmp_path / "fcos" / "scale_weights.png").exists()
    assert (tmp_path / "deeplabv3" / "attention_spatial.png").exists()
    assert (tmp_path / "deeplabv3" / "channels.png").exists()


def test_boxes_are_no_classes_of_images_for_tsne(
    gradscape: Command, detector: Path, shapes: Path, tmp_path: Path
) -> None:
    done = gradscape("tsne", detector, "--data", f"coco:{shapes}", "-o", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "has no class for each image, which is needed here" in done.err


@pytest.mark.slow
def test_a_portrait_is_drawn_without_the_rest_of_its_canvas(gradscape: Command, detector: Path, tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    Image.fromarray(generator.integers(0, 256, (40, 20, 3), dtype=np.uint8)).save(tmp_path / "portrait.png")
    done = gradscape("cam", detector, "--images", tmp_path / "portrait.png", "--style", "masked", "-q", "-o", tmp_path)
    assert done.code == 0, done.err
    page = Image.open(tmp_path / "cam.png")
    assert page.height > page.width
