"""Published data sets, as torchvision lays them out below one root folder; downloaded only when asked."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torchvision import datasets
from torchvision.datasets.utils import check_integrity
from torchvision.models import ResNet18_Weights

from gradscape._text_files import read_json, read_text
from gradscape.data.cub200 import cub200
from gradscape.data.download import Archive, unpack_archives
from gradscape.data.folders import class_folders, image_files, listed_images
from gradscape.data.imagenet32 import imagenet32
from gradscape.data.listed import require_folder
from gradscape.data.pixels import pick_image
from gradscape.data.source import IMAGENET, VAL, Source, Triple
from gradscape.data.stanford_dogs import stanford_dogs

__all__ = ["ARCHIVES"]

Statistics = tuple[Triple, Triple]

_CIFAR10: Statistics = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
_CIFAR100: Statistics = ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
_FASHION_MNIST: Statistics = ((0.2860, 0.2860, 0.2860), (0.3530, 0.3530, 0.3530))

# Its publishers give no digest. This is what Avalanche compares with:
# avalanche/benchmarks/datasets/tiny_imagenet/tiny_imagenet.py in github.com/ContinualAI/avalanche.
_TINY = Archive("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "md5:90528d7ca1a48142e341f4ef8d21d0de")


def cifar10(root: Path, split: str, *, download: bool) -> Source:
    """CIFAR-10: 32 x 32, 50,000 and 10,000 images."""
    return _cifar("cifar10", datasets.CIFAR10, root, split, statistics=_CIFAR10, download=download)


def cifar100(root: Path, split: str, *, download: bool) -> Source:
    """CIFAR-100: 32 x 32, 50,000 and 10,000 images, the 100 fine classes."""
    return _cifar("cifar100", datasets.CIFAR100, root, split, statistics=_CIFAR100, download=download)


def _cifar(
    name: str,
    kind: type[datasets.CIFAR10],
    root: Path,
    split: str,
    *,
    statistics: Statistics,
    download: bool,
) -> Source:
    """Read the batches, which are pickles: torchvision unpickles none before its published md5 has matched."""
    folder = root / kind.base_folder
    if not download:
        require_folder(folder, name)
    try:
        data = kind(root, train=split == "train", download=download)
    except RuntimeError as error:
        files = [*kind.train_list, *kind.test_list, (kind.meta["filename"], kind.meta["md5"])]
        wrong = [file for file, md5 in files if not check_integrity(folder / file, md5)]
        raise ValueError(
            f"`{name}` in {folder.absolute()}: missing, or not the published file (md5): {', '.join(wrong)}; "
            "nothing was unpickled from it; remove the folder and load again with --download"
        ) from error
    labels = np.array(data.targets, dtype=np.int64)
    return Source(partial(pick_image, data.data), labels, tuple(data.classes), statistics)


def fashion_mnist(root: Path, split: str, *, download: bool) -> Source:
    """Fashion-MNIST: 28 x 28 gray, 60,000 and 10,000 images."""
    folder = root / "FashionMNIST" / "raw"
    if not download:
        require_folder(folder, "fashion_mnist")
    try:
        data = datasets.FashionMNIST(root, train=split == "train", download=download)
        labels = data.targets.numpy()
        if len(labels) != len(data.data):
            raise ValueError(f"{len(data.data)} images but {len(labels)} labels")
    except (AssertionError, KeyError, RuntimeError, TypeError, ValueError) as error:  # what torchvision's parser raises
        reason = " ".join(str(error).split()) or "wrong size"
        raise ValueError(
            f"`fashion_mnist` in {folder.absolute()} has a file that is missing or damaged ({reason}); "
            "remove the folder and load again with --download"
        ) from error
    return Source(partial(pick_image, data.data), labels, tuple(data.classes), _FASHION_MNIST)


def tiny_imagenet(root: Path, split: str, *, download: bool) -> Source:
    """Tiny ImageNet: 64 x 64, 200 classes; the published test images have no labels, so test is `val`."""
    folder = root / "tiny-imagenet-200"
    if download and not folder.is_dir():
        unpack_archives([_TINY], root, folder)
    require_folder(folder, "tiny_imagenet")
    ids = tuple(sorted(read_text(folder / "wnids.txt").split()))
    names = dict(line.split("\t", 1) for line in read_text(folder / "words.txt").splitlines() if "\t" in line)
    classes = _first_names([names.get(one, one) for one in ids])
    if split == "train":
        return replace(image_files(folder / "train", ids), classes=classes, statistics=IMAGENET)
    rows = [line.split("\t") for line in read_text(folder / "val" / "val_annotations.txt").splitlines()]
    if not rows or not all(len(row) > 1 and row[1] in ids for row in rows):
        raise ValueError(f"`tiny_imagenet`: {folder / 'val' / 'val_annotations.txt'} must say a class for each image")
    source = listed_images(
        [str(folder / "val" / "images" / row[0]) for row in rows], [ids.index(row[1]) for row in rows], classes
    )
    return replace(source, statistics=IMAGENET, split=VAL)


def _first_names(synonyms: list[str]) -> tuple[str, ...]:
    """Take "Egyptian cat" from "Egyptian cat, ...", but all synonyms where two classes share the first one."""
    firsts = [entry.split(",")[0].strip() for entry in synonyms]
    return tuple(entry if firsts.count(first) > 1 else first for entry, first in zip(synonyms, firsts, strict=True))


def food101(root: Path, split: str, *, download: bool) -> Source:
    """Food-101: photographs of about 512 x 512, 75,750 and 25,250 images."""
    folder = root / "food-101"
    if download:
        datasets.Food101(root, split=split, download=True)
    require_folder(folder, "food101")
    listing = folder / "meta" / f"{split}.json"
    try:
        stems = dict(sorted(read_json(listing).items()))
        pairs = [(f"{folder / 'images' / stem}.jpg", label) for label, one in enumerate(stems) for stem in stems[one]]
        paths, labels = zip(*pairs, strict=True)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"`food101`: {listing} must list the images of each class, but does not: {error}") from error
    return replace(listed_images(paths, labels, tuple(stems)), statistics=IMAGENET, photographs=True)


def imagenet(root: Path, split: str, *, download: bool) -> Source:
    """ImageNet-1k: `imagenet/train` and `imagenet/val` with one folder per class, named by its WordNet number."""
    folder = root / "imagenet" / ("val" if split == "test" else split)
    if not folder.is_dir():
        advice = "--download cannot fetch it: " if download else ""
        raise FileNotFoundError(
            f"`imagenet`: there is no folder {folder.absolute()}; {advice}get the archives from image-net.org and "
            "unpack them there as CLASS/IMAGE, or say with --data-root where they are"
        )
    source = class_folders(folder, root / "imagenet" / "train")
    names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    classes = tuple(names) if len(source.classes) == len(names) else source.classes
    return replace(
        source, classes=classes, statistics=IMAGENET, photographs=True, split=VAL if split == "test" else None
    )


ARCHIVES: dict[str, Callable[..., Source]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "cub200": cub200,
    "fashion_mnist": fashion_mnist,
    "food101": food101,
    "imagenet": imagenet,
    "imagenet32": imagenet32,
    "stanford_dogs": stanford_dogs,
    "tiny_imagenet": tiny_imagenet,
}
