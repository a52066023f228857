"""Downsampled ImageNet: Chrabaszcz, Loshchilov and Hutter, 2017, arXiv 1707.08819."""

from functools import cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchvision.models import ResNet18_Weights

from gradscape._npz import list_npz, read_npz
from gradscape.data.download import Archive, is_partial, unpack_archives
from gradscape.data.listed import warn_of_part
from gradscape.data.source import VAL, Source

__all__ = ["imagenet32"]

_SIDE = 32
# The authors publish no digests. These are what TensorFlow Datasets compares with:
# tensorflow_datasets/datasets/imagenet_resized/checksums.tsv in github.com/tensorflow/datasets.
_ARCHIVES = {
    "train": Archive(
        "https://image-net.org/data/downsample/Imagenet32_train_npz.zip",
        "sha256:94226337ecc1b0309d9fcd0167127aaadc931587035fbcb53925235edbaec4fc",
    ),
    "test": Archive(
        "https://image-net.org/data/downsample/Imagenet32_val_npz.zip",
        "sha256:013990e6dec1237dcd1f9beadbab81ead6604cc119af5cacbfb59ae28148377a",
    ),
}
_FILES = {
    "train": tuple(f"train_data_batch_{number}.npz" for number in range(1, 11)),
    "test": ("val_data.npz",),
}
_PUBLISHED = {"train": (1_281_167, 1000), "test": (50_000, 1000)}


def imagenet32(root: Path, split: str, *, download: bool) -> Source:
    """Downsampled ImageNet: 32 x 32, 1000 classes, 1,281,167 and 50,000 images; test is `val`.

    Classes are numbered as in its files, which is the order of ImageNet's development kit and not that of `imagenet`.
    """
    folder = root / "imagenet32"
    place = folder / ("val" if split == "test" else split)
    if download and not place.is_dir() and not _found(folder).keys() >= set(_FILES[split]):
        unpack_archives([_ARCHIVES[split]], root, place)
    found = _found(folder)
    if missing := [name for name in _FILES[split] if name not in found]:
        names = ", ".join(missing) if len(missing) < 4 else f"{missing[0]} and {len(missing) - 1} more"
        again = f"remove {place.name} there and load again with" if place.is_dir() else "fetch it by"
        pickled = any(folder.joinpath(name).with_suffix("").is_file() for name in missing)
        raise FileNotFoundError(
            f"`imagenet32`: {folder.absolute()} lacks {names}, of {_ARCHIVES[split].name}: {again} --download, or "
            f"unpack it there{'; pickles are not read, since they can run code' if pickled else ''}"
        )
    data, numbers = zip(*(_read_batch(found[name]) for name in _FILES[split]), strict=True)
    labels = np.concatenate(numbers).astype(np.int64) - 1
    warn_of_part("imagenet32", (len(labels), len(np.unique(labels))), _PUBLISHED[split])
    starts = np.cumsum([0, *(len(batch) for batch in data)])
    return Source(partial(_pick, data, starts), labels, _class_names(), split=VAL if split == "test" else None)


def _found(folder: Path) -> dict[str, Path]:
    """Its files by name, without those of an archive that a killed process was unpacking."""
    files = (file for file in sorted(folder.rglob("*.npz")) if not is_partial(file.relative_to(folder)))
    return {file.name: file for file in files}


def _read_batch(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pixels uint8 (n, 3072), the red ones first, and class numbers (n,) from 1."""
    refusal = f"`imagenet32`: {file.absolute()} cannot be read"
    arrays = read_npz(file, ("data", "labels").__contains__, refusal=refusal)
    if len(arrays) < 2:
        raise ValueError(
            f"{refusal}: it must hold `data` and `labels`, but holds {', '.join(list_npz(file)) or 'none'}"
        )
    data, numbers = arrays["data"], arrays["labels"]
    shapes_fit = numbers.ndim == 1 and data.shape == (len(numbers), 3 * _SIDE**2)
    if data.dtype != np.uint8 or not shapes_fit or not set(numbers.tolist()) <= set(range(1, 1001)):
        raise ValueError(
            f"`imagenet32`: {file.absolute()} must hold `data` uint8 (n, {3 * _SIDE**2}) and `labels` (n,) from 1 to "
            f"1000, but holds {data.dtype} {data.shape} and {numbers.dtype} {numbers.shape}"
            + (f" from {numbers.min()} to {numbers.max()}" if shapes_fit and len(numbers) else "")
        )
    return data, numbers


def _pick(batches: tuple[np.ndarray, ...], starts: np.ndarray, index: int) -> UInt8[Tensor, "3 height width"]:
    batch = int(np.searchsorted(starts, index, side="right")) - 1
    return torch.from_numpy(batches[batch][index - starts[batch]]).reshape(3, _SIDE, _SIDE)


@cache
def _class_names() -> tuple[str, ...]:
    """Names of ImageNet's classes, which go by their sorted WordNet numbers, in the order of these files."""
    listing = files("gradscape.data").joinpath("imagenet32_classes.txt").read_text(encoding="utf-8")
    ids = [line for line in listing.splitlines() if not line.startswith("#")]
    names = dict(zip(sorted(ids), ResNet18_Weights.IMAGENET1K_V1.meta["categories"], strict=True))
    return tuple(names[one] for one in ids)
