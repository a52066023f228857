import hashlib
import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.data import imagenet32, load_split
from gradscape.data.download import Archive


def batch(count: int, *, seed: int) -> dict[str, Any]:
    """Images in the files' own form: all red, then all green, then all blue pixels; classes from 1."""
    generator = np.random.default_rng(seed)
    data = generator.integers(0, 256, (count, 3072), dtype=np.uint8)
    return {"data": data, "labels": generator.integers(1, 1001, count), "mean": data.mean(0)}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Ten batches of 1 to 10 images, and 4 to validate with, unpacked into folders as the archives have them."""
    folder = tmp_path / "imagenet32"
    (folder / "Imagenet32_train_npz").mkdir(parents=True)
    for number in range(1, 11):
        np.savez(folder / "Imagenet32_train_npz" / f"train_data_batch_{number}.npz", **batch(number, seed=number))
    np.savez(folder / "val_data.npz", **batch(4, seed=0))
    return tmp_path


def test_batches_are_read_in_the_order_of_their_numbers_channel_by_channel(store: Path) -> None:
    batches = [batch(number, seed=number) for number in range(1, 11)]
    pixels = np.concatenate([one["data"] for one in batches]).reshape(55, 3, 32, 32)
    train = load_split("imagenet32", "train", root=store, batch_size=55)
    ((images, labels),) = train
    np.testing.assert_array_equal(images.numpy(), pixels / np.float32(255))
    np.testing.assert_array_equal(labels.numpy(), np.concatenate([one["labels"] for one in batches]) - 1)
    assert train.image_size == 32
    mean, _ = train.channel_statistics()
    np.testing.assert_allclose(mean, pixels.mean((0, 2, 3)) / 255, rtol=1e-6)


def test_its_test_images_are_those_to_validate_with(store: Path) -> None:
    test = load_split("imagenet32", "test", root=store)
    assert (test.split, test.num_images) == ("val", 4)
    np.testing.assert_array_equal(test.dataset.labels.numpy(), batch(4, seed=0)["labels"] - 1)


def test_classes_have_imagenets_names_in_the_order_of_its_development_kit(store: Path) -> None:
    classes = load_split("imagenet32", "test", root=store).classes
    assert len(classes) == 1000
    # Some of the kit's numbers, from 1 as there.
    known = {1: "kit fox", 2: "English setter", 5: "English springer", 125: "golden retriever", 449: "tench"}
    assert {number: classes[number - 1] for number in known} == known


def test_a_part_of_it_is_said_to_be_one(store: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_split("imagenet32", "test", root=store)
    assert "`imagenet32` has 4 images of 4 classes here, but 50,000 images of 1,000 classes were pub" in caplog.text


def test_missing_batches_are_named_and_how_to_get_them(store: Path) -> None:
    folder = store / "imagenet32"
    for number in (3, 10):
        (folder / "Imagenet32_train_npz" / f"train_data_batch_{number}.npz").unlink()
    lacks = f"`imagenet32`: {folder} lacks train_data_batch_3.npz, train_data_batch_10.npz, of Imagenet32_train_npz.zip"
    with pytest.raises(FileNotFoundError, match=re.escape(f"{lacks}: fetch it by --download, or unpack it there")):
        load_split("imagenet32", "train", root=store)
    (folder / "Imagenet32_train_npz").rename(folder / "train")
    with pytest.raises(FileNotFoundError, match=re.escape(f"{lacks}: remove train there and load again with")):
        load_split("imagenet32", "train", root=store, download=True)
    with pytest.raises(FileNotFoundError, match=r"lacks train_data_batch_1.npz and 9 more, of"):
        load_split("imagenet32", "train", root=store / "elsewhere")


def test_what_a_killed_process_had_not_unpacked_wholly_is_not_there(store: Path) -> None:
    folder = store / "imagenet32"
    (folder / ".partial-val").mkdir()
    (folder / "val_data.npz").rename(folder / ".partial-val" / "val_data.npz")
    with pytest.raises(FileNotFoundError, match=r"lacks val_data.npz, of Imagenet32_val_npz.zip: fetch it by --down"):
        load_split("imagenet32", "test", root=store)


class Attack:
    """What unpickling would run: a file appears."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    trace, folder = tmp_path / "executed", tmp_path / "imagenet32"
    folder.mkdir()
    (folder / "val_data").write_bytes(pickle.dumps(Attack(trace)))
    with pytest.raises(FileNotFoundError, match="; pickles are not read, since they can run code"):
        load_split("imagenet32", "test", root=tmp_path)
    np.savez(folder / "val_data.npz", data=np.array([Attack(trace)]), labels=np.array([1]))
    with pytest.raises(ValueError, match=r"val_data.npz cannot be read: .*holds objects of Python, which are not read"):
        load_split("imagenet32", "test", root=tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": np.arange(4)},
            r"labels` \(n,\) from 1 to 1000, but holds uint8 \(4, 3072\) and int64 \(4,\) from 0 to 3",
        ),
        ({"data": np.zeros((4, 3071), np.uint8)}, r"`data` uint8 \(n, 3072\)"),
        ({"data": np.zeros((4, 3072))}, "but holds float64"),
        ({"labels": np.array(7)}, r"and int64 \(\)$"),
    ],
)
def test_arrays_of_another_form_are_told(store: Path, change: dict[str, Any], message: str) -> None:
    np.savez(store / "imagenet32" / "val_data.npz", **{**batch(4, seed=0), **change})
    with pytest.raises(ValueError, match=rf"`imagenet32`: .*val_data.npz must hold .*{message}"):
        load_split("imagenet32", "test", root=store)


def test_only_the_archive_of_the_split_is_downloaded(
    store: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "Imagenet32_val_npz.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(store / "imagenet32" / "val_data.npz", "Imagenet32_val_npz/val_data.npz")
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    monkeypatch.setitem(imagenet32._ARCHIVES, "test", Archive(f"{server}/{packed.name}", f"sha256:{digest}"))
    root = tmp_path / "data"
    for _ in range(2):  # the second time it is there
        assert load_split("imagenet32", "test", root=root, download=True).num_images == 4
    assert [file.relative_to(root) for file in root.rglob("*.npz")] == [
        Path("imagenet32", "val", "Imagenet32_val_npz", "val_data.npz")
    ]
