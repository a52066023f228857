import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from gradscape.data import pixels as pixels_module
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


def _drawn(path: Path, mode: str, **options: Any) -> Path:
    """A picture of 7 × 5 pixels whose gray levels grow to the right."""
    levels = np.tile(np.arange(7, dtype=np.uint8) * 40, (5, 1))
    Image.fromarray(levels).convert(mode).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", b"", "cannot identify image file"),
        ("a.png", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "cannot identify"),
        ("a.jpg", b"<!doctype html><title>moved</title>", "cannot identify image file"),
        # Pillow would hand it to Ghostscript, another program, to run what is in it.
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "cannot identify"),
        ("a.ppm", b"P6 200000 200000 255\n", "exceeds limit"),
        ("a.pgm", b"P5 3 9000 255\n" + bytes(27_000), "more than 1,000 to 1"),
        ("a.ppm", b"P6 9000 9000 255\n" + bytes(1_000), "claims 9000 × 9000 pixels and has 1,017 bytes"),
    ],
    ids=("empty", "svg", "html", "eps", "bomb", "strip", "hollow"),
)
def test_what_is_no_picture_is_refused_in_a_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}` cannot be decoded as an image: .*{reason}.*; replace or remove"):
        load_pictures([tmp_path / name], 4)


def test_a_png_with_other_pixels_than_its_checksum_says_is_refused(tmp_path: Path) -> None:
    path = _drawn(tmp_path / "a.png", "L")
    content = path.read_bytes()
    (length,), place = struct.unpack(">I", content[37 - 4 : 37]), 41
    rows = zlib.decompress(content[place : place + length])
    other = zlib.compress(rows.replace(bytes([40]), bytes([41])))
    path.write_bytes(content[: place - 8] + struct.pack(">I", len(other)) + b"IDAT" + other + content[place + length :])
    with Image.open(path) as image:
        assert image.getpixel((1, 0)) == 41  # which Pillow takes
    with pytest.raises(ValueError, match=r"a\.png` cannot be decoded as an image: .*checksum in b'IDAT'"):
        load_pictures([path], 5)


def test_half_a_picture_does_not_pass_for_a_whole_one(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"a\.jpg` cannot be decoded as an image: image file is truncated"):
        load_pictures([tmp_path / "a.jpg"], 5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_gives_the_pixels_that_it_shows(tmp_path: Path, mode: str) -> None:
    path = _drawn(tmp_path / ("a.tif" if mode == "CMYK" else "a.png"), mode)
    found = load_pictures([path], 5).images[0]
    assert torch.equal(found[0], found[2])
    expected = np.asarray(Image.open(path).convert("RGB"))[:, 1:6, 0] / np.float32(255)
    np.testing.assert_array_equal(found[0].numpy(), expected)


def test_a_large_transparent_picture_is_the_same_in_strips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).quantize(16).save(tmp_path / "b.png", transparency=3)
    for name in ("a.png", "b.png"):
        whole = load_pictures([tmp_path / name], 7).images
        monkeypatch.setattr(pixels_module, "_STRIP", 14)
        assert torch.equal(load_pictures([tmp_path / name], 7).images, whole)
        monkeypatch.undo()


def test_nonsense_of_a_camera_does_not_hide_the_picture(tmp_path: Path) -> None:
    path = _drawn(tmp_path / "a.png", "RGB", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    plain = _drawn(tmp_path / "b.png", "RGB")
    assert torch.equal(load_pictures([path], 4).images, load_pictures([plain], 4).images)


def test_of_a_moving_picture_the_first_frame_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert load_pictures([tmp_path / "a.gif"], 4).images[0, :, 0, 0].tolist() == [1, 0, 0]
