import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradscape.data import load_split


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digtis"}, "unknown `name` 'digtis'; did you mean digits?; known: digits, cifar10"),
        ({"name": "floder:/tmp/x"}, "unknown `name` 'floder'; did you mean folder?"),
        ({"name": "folder:"}, "folder:PATH"),
        ({"name": ""}, "known: digits"),
        ({"name": "/"}, "`name` '/' is a path: give folder:/"),
        ({"split": "val"}, "`split` must be one of train, test, but came as 'val'"),
        ({"limit": 0}, "`limit` must be at least 1, but came as 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, but came as 0"),
        ({"image_size": -3}, "`image_size` must be at least 1, but came as -3"),
        ({"seed": -1}, "`seed` must not be negative, but came as -1"),
        ({"name": "noise:many"}, "noise:64, but came as noise:many"),
        ({"name": "noise:0"}, "noise:64, but came as noise:0"),
        ({"name": "noise:700000000000"}, "at most 10,000,000, such as noise:64, but came as noise:700000000000"),
        ({"name": "noise:" + 9000 * "8"}, f"but came as noise:{40 * '8'}"),
        ({"name": "noise"}, "noise:64, but came as noise:"),
    ],
)
def test_a_wrong_argument_is_one_line_that_says_what_is_wanted(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_split(**{"name": "digits", "split": "train", **arguments})
    assert "\n" not in str(raised.value)


def test_digits_are_split_disjointly_and_completely() -> None:
    splits = {split: load_split("digits", split, image_size=8) for split in ("train", "test")}
    images = {
        split: {image.numpy().tobytes() for batch, _ in loaded for image in batch} for split, loaded in splits.items()
    }
    assert splits["train"].num_images + splits["test"].num_images == 1797
    assert len(images["train"] | images["test"]) == 1797
    assert not images["train"] & images["test"]


def test_digits_are_split_four_to_one_in_each_class() -> None:
    train, test = (load_split("digits", split).dataset.labels.bincount() for split in ("train", "test"))
    published = torch.tensor([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])  # the data set's own description
    assert torch.equal(train + test, published)
    assert torch.equal(test, published // 5)


def test_digits_are_the_gray_levels_of_the_source_in_three_channels() -> None:
    images, _ = next(iter(load_split("digits", "train", image_size=8)))
    # The first zero of the data set, row by row, as its documentation prints it.
    assert (images[0, 0, 0] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(images[:, 0], images[:, 2])


def test_digits_are_enlarged_bilinearly() -> None:
    small, large = (next(iter(load_split("digits", "test", image_size=size)))[0] for size in (8, 16))
    # Halfway between pixel centers, weights of a doubled image are 3/4 and 1/4 on each axis.
    near, right, below, across = small[:, :, 2, 3], small[:, :, 2, 4], small[:, :, 3, 3], small[:, :, 3, 4]
    expected = (9 * near + 3 * right + 3 * below + across) / 16
    torch.testing.assert_close(large[:, :, 5, 7], expected)
    assert load_split("digits", "test").image_size == 16


def test_noise_is_standard_normal_and_seeded() -> None:
    (images, labels), *rest = load_split("noise:50", "train", seed=4)
    assert not rest
    assert images.shape == (50, 3, 32, 32)
    assert labels.tolist() == [0] * 50
    assert abs(images.mean()) < 0.01  # 4 standard errors of 153,600 draws
    assert abs(images.std() - 1) < 0.01
    again, _ = next(iter(load_split("noise:20", "train", seed=4)))
    assert torch.equal(again, images[:20])
    for other in (load_split("noise:50", "test", seed=4), load_split("noise:50", "train", seed=5)):
        assert not torch.isin(next(iter(other))[0][:, 0, 0, 0], images[:, 0, 0, 0]).any()
    assert load_split("noise:3", "train", image_size=7).channel_statistics() == ((0, 0, 0), (1, 1, 1))


MODULE = """
import numpy as np, torch
from PIL import Image

class Pictures:
    classes = ["odd", "even"]
    def __init__(self, targets): self.targets = targets
    def __len__(self): return 6
    def __getitem__(self, index): return Image.new("RGB", (4, 3), (10 * index, 0, 255)), (index + 1) % 2

class Bare:
    def __init__(self, make): self.make = make
    def __len__(self): return 6
    def __getitem__(self, index): return self.make(index), index % 3

def pictures(split, image_size): return Pictures([1, 0, 1, 0, 1, 0])
def lying(split, image_size): return Pictures([0, 0, 0, 0, 0, 0])
def gray(split, image_size): return Bare(lambda index: torch.full((1, 4, 5), index / 10))
def array(split, image_size): return Bare(lambda index: np.full((4, 5, 3), index, np.uint8))
def normalized(split, image_size): return Bare(lambda index: torch.full((3, 4, 5), -1.0))
def shapeless(split, image_size): return Bare(lambda index: torch.zeros(2, 4, 5))
def mixed(split, image_size): return Bare(lambda i: torch.zeros(3, 4, 5, dtype=torch.uint8 if i else torch.float32))
def tensors(split, image_size): return torch.arange(60).reshape(2, 3, 2, 5).to(torch.uint8), torch.tensor([1, 0])
def echo(split, image_size): return np.full((1, image_size, image_size + 1), 7 if split == "test" else 8, np.uint8), [0]
def number(split, image_size): return 3
constant = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    # A name of its own for each test: imported modules stay imported.
    name = "own_" + re.sub(r"\W", "_", request.node.name)
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_function_in_the_current_folder_gives_a_data_set(module: str) -> None:
    split = load_split(f"{module}:pictures", "train")
    (images, labels), *_ = split
    assert split.classes == ("odd", "even")
    assert labels.tolist() == [1, 0, 1, 0, 1, 0]
    assert images.shape == (6, 3, 3, 4)
    torch.testing.assert_close(images[:, 0, 1, 2], torch.arange(6) * 10 / 255)


def test_a_data_set_without_targets_is_asked_for_every_label(module: str) -> None:
    split = load_split(f"{module}:gray", "train", limit=3)
    assert split.classes == ("0", "1", "2")
    assert split.dataset.labels.tolist() == [0, 1, 2]
    (images, _), *_ = load_split(f"{module}:gray", "train")
    assert images.shape == (6, 3, 4, 5)
    torch.testing.assert_close(images[:, 2, 3, 4], torch.arange(6) / 10)


def test_a_data_set_of_arrays_is_channels_last(module: str) -> None:
    (images, _), *_ = load_split(f"{module}:array", "train")
    assert images.shape == (6, 3, 4, 5)


def test_a_function_may_give_tensors_channels_first(module: str) -> None:
    (images, labels), *_ = load_split(f"{module}:tensors", "train")
    torch.testing.assert_close(images, torch.arange(60).reshape(2, 3, 2, 5) / 255)
    assert labels.tolist() == [1, 0]


def test_a_function_is_told_split_and_image_size(module: str) -> None:
    (images, _), *_ = load_split(f"{module}:echo", "test", image_size=6)
    assert images.shape == (1, 3, 6, 6)
    assert (images * 255).round().unique().tolist() == [7]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("lying", ValueError, "must label image 0 the same in its items and its `targets`"),
        ("normalized", ValueError, "floating point in [0, 1], but image 0 is not: torch.float32, -1 to -1"),
        ("shapeless", ValueError, "must give images (3, H, W) or (1, H, W), but image 0 is (2, 4, 5)"),
        ("mixed", ValueError, "images must all be uint8 or all float32, but torch.float32 and torch.uint8"),
        ("number", TypeError, "must return a map-style data set or (images, labels), but returned int"),
        ("constant", TypeError, "must name a function"),
        ("absent", ValueError, "absent"),
    ],
)
def test_what_a_function_gives_wrongly_is_told(module: str, function: str, error: type, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)) as raised:
        load_split(f"{module}:{function}", "train")
    assert "\n" not in str(raised.value)


def test_a_module_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match="no_such_module"):
        load_split("no_such_module:data", "train")


def save(path: Path, **arrays: Any) -> str:
    np.savez(path / "data.npz", **arrays)
    return f"npz:{path / 'data.npz'}"


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 1)])
def test_gray_arrays_get_three_equal_channels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    gray = np.arange(60, dtype=np.uint8).reshape(shape)
    (images, _), *_ = load_split(save(tmp_path, images=gray, labels=np.arange(4)), "train")
    assert images.shape == (4, 3, 3, 5)
    for channel in range(3):
        torch.testing.assert_close(images[:, channel], torch.arange(60).reshape(4, 3, 5) / 255)


@pytest.mark.parametrize("names", [["ape", "bee"], [b"ape", b"bee"]])
def test_arrays_may_name_their_classes(tmp_path: Path, names: list) -> None:
    name = save(tmp_path, images=np.zeros((3, 4, 5), np.uint8), labels=np.array([0, 1, 0]), classes=np.array(names))
    assert load_split(name, "train").classes == ("ape", "bee")
    assert load_split(name, "test").num_images == 3


def test_real_test_images_are_all_there_in_the_original_order(test_data: Path) -> None:
    split = load_split(f"npz:{test_data / 'cifar10' / 'cifar10_test1000_lossless.npz'}", "test")
    assert (split.num_images, split.image_size, len(split)) == (1000, 32, 4)
    assert split.dataset.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]  # CIFAR-10's well-known beginning


IMAGES = np.zeros((4, 5, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": IMAGES, "targets": np.arange(4)}, "but lacks labels; it holds images, targets"),
        ({"images": IMAGES, "labels": np.arange(3)}, "has 4 images but 3 labels"),
        (
            {"images": IMAGES.astype(np.int32), "labels": np.arange(4)},
            "must be uint8 or floating point, but came as int32",
        ),
        (
            {"images": IMAGES - 1.5, "labels": np.arange(4)},
            "must be in [0, 1] where they are floating point, but span -1.5",
        ),
        ({"images": IMAGES * np.nan, "labels": np.arange(4)}, "but span nan to nan"),
        ({"images": IMAGES.transpose(0, 3, 1, 2), "labels": np.arange(4)}, "channels last, but came as (4, 3, 5, 6)"),
        ({"images": IMAGES[:0], "labels": np.arange(0)}, "came as (0, 5, 6, 3)"),
        ({"images": IMAGES, "labels": np.arange(4) / 2}, "must be integers (N,), but came as float64 (4,)"),
        ({"images": IMAGES, "labels": np.arange(4) - 1}, "`labels` must be 0 to 2 for 3 classes, but span -1 to 2"),
        ({"images": IMAGES, "labels": np.arange(4), "classes": np.array(["a", "b"])}, "must be 0 to 1 for 2 classes"),
        (
            {"images": IMAGES, "labels": np.arange(4), "classes": np.array([], dtype=str)},
            "data.npz` cannot be used: `labels`",
        ),
        ({"images": IMAGES, "labels": np.arange(4), "classes": np.array("abcd")}, "one name for each class"),
        ({"images": np.array([object()]), "labels": np.arange(1)}, "cannot be read as an .npz file of plain arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_told(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    name = save(tmp_path, **arrays)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_split(name, "train")
    assert "\n" not in str(raised.value)


def test_a_missing_array_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "none.npz"))):
        load_split(f"npz:{tmp_path / 'none.npz'}", "train")


def test_a_file_that_holds_no_arrays_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no arrays\nhere")
    with pytest.raises(ValueError, match=r"cannot be read as an \.npz file") as raised:
        load_split(f"npz:{tmp_path / 'text.npz'}", "train")
    assert "\n" not in str(raised.value)
