import csv
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape.explain.cam import heatmaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of other sizes than the network's."""
    folder = tmp_path_factory.mktemp("album")
    generator = np.random.default_rng(2)
    for name, shape in {"a.png": (20, 24, 3), "b.png": (16, 16, 3), "c.png": (30, 18, 3)}.items():
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network whose classes have names."""
    path = tmp_path_factory.mktemp("named") / "named.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = create_model("resnet20", num_classes=3, image_size=16)
    save_checkpoint(
        path, net, name="resnet20", num_classes=3, image_size=16, mean=(0.3,) * 3, std=(0.4,) * 3,
        labels=["cat", "[red]dog", "emu"],
    )  # fmt: skip
    return path


def test_heatmaps_are_arrays_pictures_and_a_table(
    gradscape: Command, checkpoint: Path, album: Path, tmp_path: Path
) -> None:
    done = gradscape("cam", checkpoint, "--images", album / "a.png", album / "b.png", "--method", "gradcam", "--method",
        "hirescam", "--class", 4, "--background", "gray", "--device", "cpu", "-o", tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    maps = Heatmaps.load(tmp_path / "resnet20" / "hirescam.npz")
    model = load_checkpoint(checkpoint)
    images = torch.stack([_as_network_sees(album / name) for name in ("a.png", "b.png")])
    expected = heatmaps(model, images, method="hirescam", class_index=4)
    np.testing.assert_allclose(maps.raw, expected.raw, rtol=1e-4, atol=1e-7)
    assert expected.target_layer in done.out  # what was found by itself is told
    assert maps.meta["image_names"] == ["a.png", "b.png"]
    assert len(maps.meta["weights"]) == 16
    with (tmp_path / "cam.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["image"], row["method"]) for row in table] == [
        (image, method) for method in ("gradcam", "hirescam") for image in ("a.png", "b.png")
    ]
    assert {row["class_index"] for row in table} == {"4"}
    assert float(table[3]["probability"]) == pytest.approx(float(maps.probability[1]))
    assert (tmp_path / "cam.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "cam.png").read_bytes().startswith(b"\x89PNG")


def _as_network_sees(file: Path) -> torch.Tensor:
    from torchvision.transforms import v2

    return v2.Compose([v2.Resize(16), v2.CenterCrop(16), v2.PILToTensor()])(Image.open(file)) / 255


def test_several_networks_are_drawn_together_with_their_faithfulness(
    gradscape: Command, checkpoint: Path, named: Path, album: Path, tmp_path: Path
) -> None:
    done = gradscape("cam", checkpoint, named, "--images", album, "--faithfulness", "--scale", "shared", "--style",
        "heatmap", "--device", "cpu", "-o", tmp_path)  # fmt: skip
    assert done.code == 0, done.err
    assert "insertion" in done.out
    with (tmp_path / "cam.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * 3
    assert all(0 <= float(row["deletion"]) <= 1 for row in table if not row["fault"])
    assert {row["class"] for row in table[3:]} <= {"cat", "[red]dog", "emu"}
    folders = {path.parent.name for path in tmp_path.glob("*/*.npz")}
    assert folders == {f"{file.parent.name}-{file.stem}" for file in (checkpoint, named)}


def test_a_class_may_be_named_and_markup_in_its_name_stays_text(
    gradscape: Command, named: Path, album: Path, tmp_path: Path
) -> None:
    done = gradscape("cam", named, "--images", album / "a.png", "--class", "[red]dog", "-o", tmp_path)
    assert done.code == 0, done.err
    assert "[red]dog" in done.out
    assert Heatmaps.load(tmp_path / "resnet20" / "gradcam++.npz").class_index.tolist() == [1]


def test_outputs_and_layout_are_taken_as_stated(
    gradscape: Command, checkpoint: Path, album: Path, tmp_path: Path
) -> None:
    stated = ("--outputs", "multi_label_logits", "--layout", "channels_first")
    done = gradscape("cam", checkpoint, "--images", album / "a.png", *stated, "-o", tmp_path)
    assert done.code == 0, done.err
    assert Heatmaps.load(tmp_path / "resnet20" / "gradcam++.npz").meta["outputs"] == "multi_label_logits"
    done = gradscape("cam", checkpoint, "--images", album / "a.png", "--outputs", "probabilities", "-o", tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert '`--outputs` says "probabilities", but' in done.err


def test_quiet_prints_nothing(gradscape: Command, checkpoint: Path, album: Path, tmp_path: Path) -> None:
    done = gradscape("cam", checkpoint, "--images", album / "a.png", "-q", "-o", tmp_path)
    assert (done.code, done.out) == (0, ""), done.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("CKPT", "--images", "ALBUM", "--layer", "stages.9"), "stages.9"),
        (("CKPT", "--images", "ALBUM", "--class", "10"), "`--class` must be in 0 … 9"),
        (("CKPT", "--images", "ALBUM", "--class", "cat"), "the model has no labels"),
        (("NAMED", "--images", "ALBUM", "--class", "caat"), "did you mean cat"),
        (("CKPT", "--images", "ALBUM", "--method", "gradcamm"), "did you mean gradcam"),
        (("CKPT", "--images", "ALBUM", "--style", "glow"), "glow"),
        (("CKPT", "--images", "ALBUM", "--background", "blue"), "blue"),
        (("CKPT", "--images", "ALBUM", "--style", "heatmap", "--background", "gray"), "`--background` is for images"),
        (("CKPT", "--images", "nowhere.png"), "there is no image file or folder nowhere.png"),
        (
            ("--images", "ALBUM", "a.pt"),
            "`CKPT` must be a .safetensors checkpoint (gradscape import makes one), got a.pt",
        ),
        (("CKPT", "--images", "TEXT"), "cannot be decoded as an image"),
        (("CKPT", "--images", "DOT"), "must be at least 2 pixels wide and high, but is 1 × 1"),
        (("NAN", "--images", "ALBUM"), "holds values in conv1.weight that are not finite"),
        (("FLAT", "--images", "ALBUM"), "`"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    gradscape: Command,
    checkpoint: Path,
    named: Path,
    album: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    text: str,
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    places = {
        "CKPT": checkpoint,
        "NAMED": named,
        "ALBUM": album,
        "TEXT": tmp_path / "text.png",
        "DOT": tmp_path / "dot.png",
        "NAN": tmp_path / "nan.safetensors",
        "FLAT": tmp_path / "flat.safetensors",
    }
    _save_spoiled(checkpoint, places["NAN"])
    _save_without_convolutions(places["FLAT"])
    out = tmp_path / "out"
    done = gradscape("cam", *(places.get(argument, argument) for argument in arguments), "--device", "cpu", "-o", out)
    assert done.code == 2
    assert done.err.startswith("gradscape: ")
    assert done.err.count("\n") == 1, done.err
    assert text in done.err
    assert not out.exists()


def _save_spoiled(checkpoint: Path, path: Path) -> None:
    model = load_checkpoint(checkpoint)
    next(model.network.parameters()).data[0] = torch.nan
    keys = ("name", "num_classes", "image_size", "mean", "std")
    save_checkpoint(path, model, **{key: model.meta[key] for key in keys})


def flat_network(num_classes: int) -> torch.nn.Module:
    """A network without any place: what a user's own function may give."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, num_classes))


def _save_without_convolutions(path: Path) -> None:
    name = "tests.cli.test_cam:flat_network"
    half = (0.5, 0.5, 0.5)
    save_checkpoint(path, flat_network(4), name=name, num_classes=4, image_size=16, mean=half, std=half)


def test_real_birds_are_named_rightly_and_explained(gradscape: Command, test_data: Path, tmp_path: Path) -> None:
    files, half = test_data / "checkpoints", "0.5,0.5,0.5"
    done = gradscape("import", files / "converted-mobilenet_v2-inatbird965-from-coral-quant.pt", "--model",
        "mobilenet_v2", "--num-classes", 965, "--image-size", 224, "--mean", half, "--std", half, "--labels",
        files / "coral-inat_bird_labels.txt", "-o", tmp_path / "birds.safetensors")  # fmt: skip
    assert done.code == 0, done.err
    birds = [test_data / "birds" / f"{name}_1.jpg" for name in ("painted_bunting", "scarlet_tanager", "cedar_waxwing")]
    done = gradscape("cam", tmp_path / "birds.safetensors", "--images", *birds, "-o", tmp_path)
    assert done.code == 0, done.err
    maps = Heatmaps.load(tmp_path / "mobilenet_v2" / "gradcam++.npz")
    assert maps.class_index.tolist() == [209, 171, 894]
    assert maps.faults == {}
    assert "Scarlet Tanager" in (tmp_path / "cam.csv").read_text()


def test_a_picture_whose_name_is_no_text_costs_nothing_of_what_was_computed(
    gradscape: Command, checkpoint: Path, album: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 $\\frac$ \x1b[1m.png")
    shutil.copy(album / "b.png", odd)
    done = gradscape("cam", checkpoint, "--images", odd, "--method", "gradcam", "--device", "cpu", "-q", "-o", tmp_path)
    assert (done.code, done.err) == (0, "")
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")} - {odd.name}
    assert {"cam.csv", "cam.pdf", "cam.png", "cam.txt", "pictures.npz", "resnet20/gradcam.npz"} == names
    with (tmp_path / "cam.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["image"] == "caf\\udce9 $\\frac$ \x1b[1m.png"
    assert Heatmaps.load(tmp_path / "resnet20" / "gradcam.npz").meta["image_names"]
