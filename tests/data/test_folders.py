import logging
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from gradscape.data import load_split


@pytest.fixture(scope="module")
def photographs(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real JPEGs: 12, 8 and 4 of three classes to train, and 3 each to test."""
    root = tmp_path_factory.mktemp("photographs")
    for split, counts in {"train": (12, 8, 4), "test": (3, 3, 3)}.items():
        with zipfile.ZipFile(test_data / "cifar10" / f"{split}_jpeg.zip") as archive:
            for name, count in zip(("cat", "dog", "truck"), counts, strict=True):
                members = sorted(member for member in archive.namelist() if member.startswith(f"{name}/"))
                archive.extractall(root / split, [member for member in members if not member.endswith("/")][:count])
    return root


@pytest.fixture
def paintings(tmp_path: Path) -> Path:
    """Lossless pictures of 7 x 5 and 5 x 7 pixels; the class of the second is one folder deeper."""
    generator = np.random.default_rng(1)
    for place, shape in {"train/a/1.png": (5, 7, 3), "train/b/deep/2.PNG": (7, 5, 3)}.items():
        (tmp_path / place).parent.mkdir(parents=True)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / place)
    return tmp_path


def test_class_folders_are_the_classes_in_alphabetical_order(photographs: Path) -> None:
    split = load_split(f"folder:{photographs}", "train", batch_size=10)
    assert split.classes == ("cat", "dog", "truck")
    assert split.dataset.labels.tolist() == [0] * 12 + [1] * 8 + [2] * 4
    assert split.image_size == 32
    files = sorted((photographs / "train" / "dog").iterdir())
    expected = np.asarray(Image.open(files[3])).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(split.dataset[15][0].numpy(), expected)


def test_streamed_photographs_are_bitwise_those_held_in_memory(
    photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pieces of 3 make several threads share every batch.
    monkeypatch.setattr("gradscape.data.held._PIECE", 3)
    held = load_split(f"folder:{photographs}", "train", image_size=21, limit=20, batch_size=8)
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: 0)
    streamed = load_split(f"folder:{photographs}", "train", image_size=21, limit=20, batch_size=8)
    for (a, b), (c, d) in zip(held, streamed, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


def test_resizing_takes_the_center_of_the_picture_as_torchvision_does(paintings: Path) -> None:
    (got, _), *_ = load_split(f"folder:{paintings}", "train", image_size=4)
    usual = v2.Compose([v2.Resize(4), v2.CenterCrop(4), v2.PILToTensor()])
    expected = [usual(Image.open(paintings / place)) for place in ("train/a/1.png", "train/b/deep/2.PNG")]
    assert torch.equal(got, torch.stack(expected) / 255)


def test_sizes_that_differ_need_an_image_size(paintings: Path) -> None:
    with pytest.raises(ValueError, match="`image_size` must be given where sizes differ: image 0 is 5 x 7 pixels"):
        load_split(f"folder:{paintings}", "train")


def test_validation_images_serve_where_there_are_no_test_images(
    paintings: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(paintings / "train" / "b", paintings / "val" / "b")
    with caplog.at_level(logging.WARNING):
        split = load_split(f"folder:{paintings}", "test")
    assert "has no folder test: val is taken" in caplog.text
    assert split.classes == ("a", "b")
    assert split.dataset.labels.tolist() == [1]  # numbered as in train, though `a` is absent here


def test_hidden_and_other_files_are_no_images(paintings: Path) -> None:
    (paintings / "train" / "a" / "._1.png").write_bytes(b"resource fork")
    (paintings / "train" / "a" / "notes.txt").write_text("notes")
    (paintings / "train" / ".cache").mkdir()
    assert load_split(f"folder:{paintings}", "train", image_size=4).num_images == 2


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA", "CMYK"])
def test_every_usual_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGB", (6, 4), (255, 255, 255)).convert(mode)
    place = tmp_path / "train" / "white" / ("1.tif" if mode == "CMYK" else "1.png")
    place.parent.mkdir(parents=True)
    picture.save(place)
    (got, _), *_ = load_split(f"folder:{tmp_path}", "train")
    assert torch.equal(got, torch.ones(1, 3, 4, 6))


def test_a_palette_with_transparency_gives_its_colors(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 2), 1)
    picture.putpalette([0, 0, 0, 255, 0, 51])
    (tmp_path / "train" / "a").mkdir(parents=True)
    picture.save(tmp_path / "train" / "a" / "1.png", transparency=b"\x00\x80")
    (got, _), *_ = load_split(f"folder:{tmp_path}", "train")
    torch.testing.assert_close(got[0, :, 0, 0], torch.tensor([1, 0, 0.2]))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.write_bytes(b"no picture at all"), "1.png` cannot be decoded as an image"),
        (lambda file: file.write_bytes(file.read_bytes()[:-60]), "1.png` cannot be decoded as an image"),
        (lambda file: file.write_bytes(b""), "1.png` cannot be decoded as an image"),
        (lambda file: Image.new("I;16", (5, 5)).save(file), "1.png` must have 8 bits per channel"),
    ],
)
def test_a_corrupt_image_is_named(paintings: Path, spoil: object, message: str) -> None:
    assert callable(spoil)
    spoil(paintings / "train" / "a" / "1.png")
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_split(f"folder:{paintings}", "train", image_size=4)
    assert "\n" not in str(raised.value)


def test_an_empty_class_folder_is_told(paintings: Path) -> None:
    (paintings / "train" / "c").mkdir()
    with pytest.raises(ValueError, match=r"class folder `.*train.c` holds no image"):
        load_split(f"folder:{paintings}", "train")


def test_images_without_class_folders_are_told(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "train" / "1.png")
    with pytest.raises(ValueError, match="must hold one folder of images for each class"):
        load_split(f"folder:{tmp_path}", "train")


def test_a_class_that_was_not_trained_is_told(paintings: Path) -> None:
    shutil.copytree(paintings / "train", paintings / "test")
    (paintings / "test" / "b").rename(paintings / "test" / "z")
    with pytest.raises(ValueError, match=r"must have no class that .*train lacks, but has z"):
        load_split(f"folder:{paintings}", "test")


@pytest.mark.parametrize("missing", ["nowhere", ""])
def test_a_missing_folder_is_told(tmp_path: Path, missing: str) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder " + re.escape(str(tmp_path))):
        load_split(f"folder:{tmp_path / missing}", "test")
