import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from gradscape.data.pictures import load_pictures


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two lossless pictures, 7 × 5 and 5 × 9 pixels, a hidden one, a text, and one in a sub-folder."""
    generator = np.random.default_rng(3)
    for name, shape in {"b.png": (5, 7, 3), "a.PNG": (9, 5, 3), ".c.png": (4, 4, 3), "deep/a.PNG": (6, 6, 3)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path


def test_a_folder_gives_its_own_pictures_in_alphabetical_order(album: Path) -> None:
    pictures = load_pictures([album], 4)
    assert pictures.names == ("a.PNG", "b.png")
    usual = v2.Compose([v2.Resize(4), v2.CenterCrop(4), v2.PILToTensor()])
    expected = [usual(Image.open(album / name)) for name in pictures.names]
    assert torch.equal(pictures.images, torch.stack(expected) / 255)


def test_pictures_come_in_the_order_of_the_paths_and_once_only(album: Path) -> None:
    pictures = load_pictures([album / "b.png", str(album), album / "b.png"], 6)
    assert pictures.names == ("b.png", "a.PNG")
    assert pictures.images.shape == (2, 3, 6, 6)


def test_files_of_the_same_name_are_told_apart_by_their_folder(album: Path) -> None:
    pictures = load_pictures([album / "a.PNG", album / "b.png", album / "deep"], 4)
    assert pictures.names == (f"{album.name}/a.PNG", "b.png", "deep/a.PNG")


def test_a_real_picture_of_the_wanted_size_comes_pixel_by_pixel(test_data: Path) -> None:
    file = test_data / "imagenet" / "gradcam_both.png"
    expected = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(load_pictures([file], 224).images[0].numpy(), expected)


def test_a_real_picture_with_another_ending_is_found_in_its_folder(test_data: Path) -> None:
    assert "gradcam_dog_cat.jfif" in load_pictures([test_data / "imagenet"], 8).names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "notes.txt` cannot be decoded as an image"),
        ("dot.png", "dot.png` must be at least 2 pixels wide and high, but is 1 × 1: leave it out"),
        ("strip.png", "strip.png` must be at least 2 pixels wide and high, but is 40 × 1: leave it out"),
        ("empty", "empty` must hold image files, but holds none; its sub-folders are not searched"),
    ],
)
def test_what_is_no_picture_is_told_in_one_line(album: Path, name: str, message: str) -> None:
    Image.new("RGB", (1, 1)).save(album / "dot.png")
    Image.new("RGB", (40, 1)).save(album / "strip.png")
    (album / "empty" / "deep").mkdir(parents=True)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_pictures([album / name], 4)
    assert "\n" not in str(raised.value)


def test_a_missing_path_is_told(album: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no image file or folder .*nowhere"):
        load_pictures([album / "nowhere"], 4)


def test_no_path_at_all_is_told() -> None:
    with pytest.raises(ValueError, match="`paths` must name at least one image"):
        load_pictures([], 4)


def test_a_picture_is_turned_as_the_camera_says(tmp_path: Path) -> None:
    upright = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b.png", exif=exif)
    upright.save(tmp_path / "a.png")
    shown = load_pictures([tmp_path / "a.png", tmp_path / "b.png"], 4).images
    assert torch.equal(shown[0], shown[1])


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_what_is_transparent_in_a_picture_is_seen_on_white(mode: str, tmp_path: Path) -> None:
    if mode == "P":
        picture = Image.new("P", (2, 2), 1)
        picture.putpalette([0, 0, 0, 51, 51, 51])
        picture.save(tmp_path / "a.png", transparency=b"\x00\x66")
    else:
        color = (51, 102) if mode == "LA" else (51, 51, 51, 102)
        made = Image.new("LA" if mode == "LA" else "RGBA", (2, 2), color)
        (made.convert("PA") if mode == "PA" else made).save(tmp_path / "a.png" if mode != "PA" else tmp_path / "a.tif")
    got = load_pictures([tmp_path], 2).images
    torch.testing.assert_close(got, torch.full_like(got, 0.2 * 0.4 + 0.6), rtol=0, atol=0.01)


def test_an_opaque_picture_with_an_alpha_channel_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 5, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = torch.from_numpy(pixels[..., :3].copy()).permute(2, 0, 1) / 255
    assert torch.equal(load_pictures([tmp_path], 5).images[0], expected)
