"""Caltech-UCSD Birds-200-2011: Wah, Branson, Welinder, Perona and Belongie, 2011."""

import re
from pathlib import Path

from gradscape._text_files import read_text
from gradscape.data.download import Archive, unpack_archives
from gradscape.data.listed import listed_photographs, require_folder
from gradscape.data.source import Source

__all__ = ["cub200"]

# The authors publish no digest. This is what TensorFlow Datasets compares with:
# tensorflow_datasets/url_checksums/caltech_birds2011.txt in github.com/tensorflow/datasets.
_ARCHIVE = Archive(
    "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
    "sha256:0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081",
)
_PUBLISHED = {"train": (5994, 200), "test": (5794, 200)}


def cub200(root: Path, split: str, *, download: bool) -> Source:
    """CUB-200-2011: photographs of 200 species of birds, 5,994 and 5,794 images."""
    folder = root / "CUB_200_2011"
    if download and not folder.is_dir():
        unpack_archives([_ARCHIVE], root, folder)
    require_folder(folder, "cub200")
    images, numbers, taught, names = (
        _read_list(folder / f"{name}.txt") for name in ("images", "image_class_labels", "train_test_split", "classes")
    )
    if not (images.keys() == numbers.keys() == taught.keys() and set(numbers.values()) <= names.keys()):
        raise ValueError(f"`cub200`: the lists in {folder.absolute()} must number the same images and classes")
    label_of = {number: label for label, number in enumerate(names)}
    chosen = [number for number in images if (taught[number] == "1") == (split == "train")]
    return listed_photographs(
        "cub200",
        [folder / "images" / images[number] for number in chosen],
        [label_of[numbers[number]] for number in chosen],
        [_species(name) for name in names.values()],
        published=_PUBLISHED[split],
    )


def _read_list(file: Path) -> dict[str, str]:
    """The number that a line begins with -> what follows it."""
    if not file.is_file():
        raise FileNotFoundError(
            f"`cub200`: there is no file {file.absolute()}, which comes with {_ARCHIVE.name}; "
            "remove the data set's folder and load again with --download"
        )
    try:
        return dict(line.split(maxsplit=1) for line in read_text(file).splitlines())
    except ValueError as error:
        raise ValueError(f"`cub200`: {file.absolute()} must have a number and a word in each line") from error


def _species(name: str) -> str:
    """Write "001.Black_footed_Albatross" as "Black-footed Albatross"."""
    # A small letter goes on with the word before it: the hyphen was lost in the file's name.
    return re.sub("_(?=[a-z])", "-", name.partition(".")[2]).replace("_", " ")
