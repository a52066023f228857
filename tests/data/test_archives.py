import hashlib
import json
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

from gradscape.data import archives, load_split
from gradscape.data.download import Archive
from tests.data.painted import paint

CLASSES = [f"class {number}" for number in range(10)]


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def publish_cifar(root: Path, kind: type[datasets.CIFAR10], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Write 4 images a batch in CIFAR's format and let torchvision take their checksums for the published ones."""
    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    fine = kind is datasets.CIFAR100
    generator = np.random.default_rng(2)
    every = []
    for listing in ("train_list", "test_list"):
        entries = []
        for name, _ in getattr(kind, listing):
            rows = generator.integers(0, 256, (4, 3072), dtype=np.uint8)
            every.append(rows)
            batch = {"data": rows, "fine_labels" if fine else "labels": generator.integers(0, 10, 4).tolist()}
            (folder / name).write_bytes(pickle.dumps(batch))
            entries.append([name, md5(folder / name)])
        monkeypatch.setattr(kind, listing, entries)
    meta = folder / kind.meta["filename"]
    meta.write_bytes(pickle.dumps({kind.meta["key"]: CLASSES}))
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": md5(meta)})
    return np.concatenate(every).reshape(-1, 3, 32, 32)


@pytest.mark.parametrize(("name", "kind"), [("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100)])
def test_cifar_batches_are_read_channel_by_channel(
    name: str, kind: type[datasets.CIFAR10], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = publish_cifar(tmp_path, kind, monkeypatch)
    train, test = (load_split(name, split, root=tmp_path) for split in ("train", "test"))
    assert test.num_images == 4
    assert train.num_images == len(pixels) - 4
    assert train.classes == tuple(CLASSES)
    got = torch.cat([images for split in (train, test) for images, _ in split])
    np.testing.assert_array_equal(got.numpy(), pixels / np.float32(255))


class Attack:
    """What unpickling would run: a file appears."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("kind", [datasets.CIFAR10, datasets.CIFAR100])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_tampered_cifar_file_is_never_unpickled(
    kind: type[datasets.CIFAR10], split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_cifar(tmp_path, kind, monkeypatch)
    trace = tmp_path / "executed"
    folder = tmp_path / kind.base_folder
    for file in sorted(folder.iterdir()):
        sound = file.read_bytes()
        file.write_bytes(pickle.dumps(Attack(trace)))
        with pytest.raises(ValueError, match=rf"not the published file \(md5\): {re.escape(file.name)};"):
            load_split(kind.__name__.lower(), split, root=tmp_path)
        assert not trace.exists()
        file.write_bytes(sound)
    pickle.loads(pickle.dumps(Attack(trace)))
    assert trace.exists()  # the attack works, where nothing stops it


def test_a_missing_cifar_batch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_cifar(tmp_path, datasets.CIFAR10, monkeypatch)
    (tmp_path / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(ValueError, match=r"missing, or not the published file .*: data_batch_3;"):
        load_split("cifar10", "test", root=tmp_path)


def test_download_fetches_checks_and_unpacks_cifar(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_cifar(tmp_path / "server", datasets.CIFAR10, monkeypatch)
    packed = tmp_path / "server" / "cifar-10-python.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "server" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{server}/server/{packed.name}")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(packed))
    assert load_split("cifar10", "train", root=tmp_path / "data", download=True).num_images == 20
    assert load_split("cifar10", "test", root=tmp_path / "data").num_images == 4


def write_idx(file: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    file.write_bytes(header + array.tobytes())


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """Three training and two test images of Fashion-MNIST's format; returns the folder of its files."""
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for split, count in (("train", 3), ("t10k", 2)):
        write_idx(raw / f"{split}-images-idx3-ubyte", np.arange(count * 784, dtype=np.uint8).reshape(count, 28, 28))
        write_idx(raw / f"{split}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8))
    return raw


def test_fashion_mnist_is_gray_in_three_channels(fashion: Path, tmp_path: Path) -> None:
    split = load_split("fashion_mnist", "train", root=tmp_path)
    (images, labels), *_ = split
    assert labels.tolist() == [0, 1, 2]
    expected = torch.arange(3 * 784).to(torch.uint8).reshape(3, 1, 28, 28).expand(-1, 3, -1, -1) / 255
    assert torch.equal(images, expected)
    assert split.classes[9] == "Ankle boot"
    assert split.channel_statistics() == ((0.286,) * 3, (0.353,) * 3)
    assert load_split("fashion_mnist", "test", root=tmp_path).num_images == 2


@pytest.mark.parametrize("file", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_damaged_fashion_mnist_file_is_told(fashion: Path, tmp_path: Path, file: str) -> None:
    (fashion / file).write_bytes((fashion / file).read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"`fashion_mnist` .* missing or damaged") as raised:
        load_split("fashion_mnist", "test", root=tmp_path)
    assert "\n" not in str(raised.value)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A Tiny ImageNet of three classes, two of which share their first name."""
    folder = tmp_path / "tiny-imagenet-200"
    for number, one in enumerate(("n01", "n02", "n03")):
        for image in range(2):
            paint(folder / "train" / one / "images" / f"{one}_{image}.JPEG", 100 * number + image, (64, 64))
        (folder / "train" / one / f"{one}_boxes.txt").write_text("boxes")
        paint(folder / "val" / "images" / f"val_{number}.JPEG", 50 + number, (64, 64))
    (folder / "wnids.txt").write_text("n03\nn01\nn02\n")
    (folder / "words.txt").write_text("n00\tnothing\nn01\tcrane, bird\nn02\tcrane\nn03\tEgyptian cat, puss\n")
    (folder / "val" / "val_annotations.txt").write_text(
        "val_0.JPEG\tn02\t0\t0\t63\t63\nval_1.JPEG\tn01\t0\t0\t63\t63\nval_2.JPEG\tn03\t0\t0\t63\t63\n"
    )
    return folder


def test_tiny_imagenet_numbers_classes_by_their_sorted_ids(tiny: Path, tmp_path: Path) -> None:
    train, test = (load_split("tiny_imagenet", split, root=tmp_path) for split in ("train", "test"))
    assert train.classes == test.classes == ("crane, bird", "crane", "Egyptian cat")
    assert train.dataset.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert test.dataset.labels.tolist() == [1, 0, 2]
    reds = [round(255 * image[0, 0, 0].item()) for images, _ in (*train, *test) for image in images]
    assert reds == [0, 1, 100, 101, 200, 201, 50, 51, 52]
    assert train.channel_statistics() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_tiny_imagenet_without_annotations_is_told(tiny: Path, tmp_path: Path) -> None:
    (tiny / "val" / "val_annotations.txt").write_text("val_0.JPEG n02\n")
    with pytest.raises(ValueError, match=r"val_annotations.txt must say a class for each image"):
        load_split("tiny_imagenet", "test", root=tmp_path)


def test_download_fetches_checks_and_unpacks_tiny_imagenet(
    tiny: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "tiny-imagenet-200.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in tiny.rglob("*.*"):
            archive.write(file, file.relative_to(tmp_path))
    url = f"{server}/{packed.name}"
    monkeypatch.setattr(archives, "_TINY", Archive(url, f"md5:{md5(tiny / 'wnids.txt')}"))
    root = tmp_path / "data"
    with pytest.raises(ValueError, match=r"tiny-imagenet-200.zip is not what was published at"):
        load_split("tiny_imagenet", "test", root=root, download=True)
    assert not (root / "tiny-imagenet-200").exists()
    monkeypatch.setattr(archives, "_TINY", Archive(url, f"md5:{md5(packed)}"))
    assert load_split("tiny_imagenet", "test", root=root, download=True).num_images == 3
    assert sorted(entry.name for entry in root.iterdir()) == ["tiny-imagenet-200", "tiny-imagenet-200.zip"]


def test_food101_follows_its_listing(tmp_path: Path) -> None:
    folder = tmp_path / "food-101"
    listing = {"waffles": ["waffles/12"], "apple_pie": ["apple_pie/9", "apple_pie/7"]}
    for stems in listing.values():
        for stem in stems:
            paint(folder / "images" / f"{stem}.jpg", 10 * int(stem.split("/")[1]), (40, 30))
    (folder / "meta").mkdir()
    (folder / "meta" / "test.json").write_text(json.dumps(listing))
    split = load_split("food101", "test", root=tmp_path)
    assert split.classes == ("apple_pie", "waffles")
    assert split.dataset.labels.tolist() == [0, 0, 1]
    (images, _), *_ = split
    assert images.shape == (3, 3, 224, 224)
    assert (255 * images[:, 0, 9, 9]).round().tolist() == [90, 70, 120]
    for damage in ("{", "[1]", "{}"):
        (folder / "meta" / "test.json").write_text(damage)
        with pytest.raises(ValueError, match=r"test.json must list the images of each class"):
            load_split("food101", "test", root=tmp_path)


def test_imagenet_has_its_names_when_all_thousand_classes_are_there(tmp_path: Path) -> None:
    paint(tmp_path / "one.png", 255, (30, 20))
    for number in range(1000):
        place = tmp_path / "imagenet" / "val" / f"n{number:08d}"
        place.mkdir(parents=True)
        (place / "1.png").symlink_to(tmp_path / "one.png")
    split = load_split("imagenet", "test", root=tmp_path, limit=1001, image_size=8)
    assert (split.num_images, len(split.classes)) == (1000, 1000)
    assert split.classes[0] == "tench"
    assert split.classes[207] == "golden retriever"
    assert split.channel_statistics() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_imagenet_in_part_keeps_its_folder_names(tmp_path: Path) -> None:
    for split, red in (("train", 5), ("val", 6)):
        paint(tmp_path / "imagenet" / split / "n00000007" / "1.png", red, (256, 230))
    for name, red in (("train", 5), ("test", 6)):
        loaded = load_split("imagenet", name, root=tmp_path)
        assert loaded.classes == ("n00000007",)
        assert loaded.image_size == 224
        assert round(255 * loaded.dataset[0][0][0, 0, 0].item()) == red


@pytest.mark.parametrize(
    "name", ["cifar10", "cifar100", "cub200", "fashion_mnist", "food101", "stanford_dogs", "tiny_imagenet"]
)
def test_a_missing_data_set_says_where_it_was_looked_for_and_how_to_get_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADSCAPE_DATA_ROOT", str(tmp_path / "store"))
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path / 'store'))}.*--download fetches it"):
        load_split(name, "train")
    monkeypatch.delenv("GRADSCAPE_DATA_ROOT")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "data"))) as raised:
        load_split(name, "train")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "data").exists()


def test_imagenet_cannot_be_downloaded(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--download cannot fetch it: get the archives"):
        load_split("imagenet", "test", root=tmp_path, download=True)


def test_a_root_given_wins_over_the_environment(fashion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSCAPE_DATA_ROOT", str(tmp_path / "elsewhere"))
    assert load_split("fashion_mnist", "train", root=tmp_path).num_images == 3
    monkeypatch.setenv("GRADSCAPE_DATA_ROOT", str(tmp_path))
    assert load_split("fashion_mnist", "train").num_images == 3


def test_cifar10_statistics_are_the_published_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_cifar(tmp_path, datasets.CIFAR10, monkeypatch)
    statistics = load_split("cifar10", "train", root=tmp_path).channel_statistics()
    assert statistics == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
