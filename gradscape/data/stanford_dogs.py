"""Stanford Dogs: Khosla, Jayadevaprakash, Yao and Fei-Fei, 2011."""

from pathlib import Path

import numpy as np

from gradscape._files import check_readable
from gradscape.data.download import Archive, unpack_archives
from gradscape.data.listed import listed_photographs, require_folder
from gradscape.data.source import Source

__all__ = ["stanford_dogs"]

# The authors publish no digests. These are what TensorFlow Datasets compares with:
# tensorflow_datasets/url_checksums/stanford_dogs.txt in github.com/tensorflow/datasets.
_ARCHIVES = (
    Archive(
        "http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar",
        "sha256:a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58",
    ),
    Archive(
        "http://vision.stanford.edu/aditya86/ImageNetDogs/lists.tar",
        "sha256:34b47cacd9a98b5d150e084f24d29391c084c55272295ec65c85651bc35f4d6c",
    ),
)
_PUBLISHED = {"train": (12000, 120), "test": (8580, 120)}


def stanford_dogs(root: Path, split: str, *, download: bool) -> Source:
    """Stanford Dogs: photographs of 120 breeds, 12,000 and 8,580 images; a part of ImageNet."""
    folder = root / "stanford_dogs"
    if download and not folder.is_dir():
        unpack_archives(_ARCHIVES, root, folder)
    require_folder(folder, "stanford_dogs")
    lists = {name: _read_list(folder / f"{name}_list.mat") for name in ("train", "test")}
    breeds = sorted({(number, file.partition("/")[0]) for pairs in lists.values() for file, number in pairs})
    folders = [name for _, name in breeds]
    if breeds != list(enumerate(folders, 1)) or len(set(folders)) != len(folders):
        raise ValueError(
            f"`stanford_dogs`: the lists in {folder.absolute()} must give each folder of images a number of its "
            "own, from 1"
        )
    files, numbers = zip(*lists[split], strict=True)
    return listed_photographs(
        "stanford_dogs",
        [folder / "Images" / file for file in files],
        [number - 1 for number in numbers],
        [_breed(name) for name in folders],
        published=_PUBLISHED[split],
    )


def _read_list(file: Path) -> list[tuple[str, int]]:
    """Image files, each with the number of its class."""
    from scipy.io import loadmat  # takes its time to import, which no other data set needs

    if not file.is_file():
        raise FileNotFoundError(
            f"`stanford_dogs`: there is no file {file.absolute()}, which comes with {_ARCHIVES[1].name}; "
            "remove the data set's folder and load again with --download"
        )
    check_readable(file)
    try:
        listed = loadmat(file, squeeze_me=True, variable_names=["file_list", "labels"])
        files, numbers = (np.atleast_1d(listed[name]).tolist() for name in ("file_list", "labels"))
        return [(str(name), int(number)) for name, number in zip(files, numbers, strict=True)]
    except Exception as error:  # the reader raises nearly every type on bytes that are not its own
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`stanford_dogs`: {file.absolute()} must list images and their classes, but does not: {reason}"
        ) from error


def _breed(name: str) -> str:
    """Write "n02085782-Japanese_spaniel" as "Japanese spaniel"."""
    return name.partition("-")[2].replace("_", " ")
