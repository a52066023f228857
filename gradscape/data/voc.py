"""Boxes and pixel labels in Pascal VOC's format: Everingham, Van Gool, Williams, Winn and Zisserman, 2010."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradscape._text_files import read_text
from gradscape.data.boxes import AnnotatedBoxes, Box, gather_boxes
from gradscape.data.pixel_labels import PixelLabels
from gradscape.data.pixels import IMAGE_SUFFIXES, picture_size
from gradscape.data.source import VAL
from gradscape.data.voc_xml import VocPicture, read_voc_xml

__all__ = ["voc_boxes", "voc_pixels"]

_PUBLISHED = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_BACKGROUND = "background"
_NAMES = "class_names.txt"


class _Lists(NamedTuple):
    """The pictures of a split, and those of all splits, by the names of their files without endings."""

    split: str
    chosen: list[str]
    every: list[str]


def voc_boxes(path: str, split: str) -> AnnotatedBoxes:
    """Boxes of a folder in VOC's format.

    The area of a box is that of its corners, and what is difficult is a crowd.

    Args:
        path: With `JPEGImages`, `Annotations` and `ImageSets/Main`, or with one folder that has them.
        split: "train" or "test": see `_listed`.

    Raises:
        FileNotFoundError: Something of it is not there.
        ValueError: Something of it is not as it should be.
    """
    root = _root(path)
    lists = _listed(root, "Main", split)
    annotated = [read_voc_xml(Path(file)) for file in _files(root, "Annotations", lists.chosen, {".xml"})]
    classes = _class_names(root, lists.every, numbered=False)[1:]
    if not any(picture.objects for picture in annotated):
        raise ValueError(
            f"{root / 'Annotations'} must have at least one box in the {lists.split} pictures, but has none"
        )
    if strange := {one.name for picture in annotated for one in picture.objects} - set(classes):
        raise ValueError(f"{root / _NAMES} must name all classes, but lacks {min(strange)}: add it")
    return gather_boxes(
        _files(root, "JPEGImages", lists.chosen, IMAGE_SUFFIXES),
        [picture.size for picture in annotated],
        [_boxes(picture, classes) for picture in annotated],
        classes,
        split=lists.split,
    )


def voc_pixels(path: str, split: str) -> PixelLabels:
    """Labels of pixels of a folder in VOC's format.

    Args:
        path: With `JPEGImages`, `SegmentationClass` and `ImageSets/Segmentation`, or with one folder that has them.
        split: "train" or "test": see `_listed`.

    Raises:
        FileNotFoundError: Something of it is not there.
        ValueError: Something of it is not as it should be.
    """
    root = _root(path)
    lists = _listed(root, "Segmentation", split)
    paths = _files(root, "JPEGImages", lists.chosen, IMAGE_SUFFIXES)
    return PixelLabels(
        paths=tuple(paths),
        labels=tuple(_files(root, "SegmentationClass", lists.chosen, {".png"})),
        sizes=np.array([picture_size(path) for path in paths], dtype=np.int64),
        classes=_class_names(root, lists.every, numbered=True),
        split=lists.split,
    )


def _root(path: str) -> Path:
    """The folder that holds `ImageSets`."""
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"`voc:{path}`: there is no folder {root.absolute()}")
    if (root / "ImageSets").is_dir():
        return root
    found = sorted(folder for folder in root.iterdir() if (folder / "ImageSets").is_dir())
    if not found:
        raise FileNotFoundError(
            f"`voc:{path}`: there is no folder ImageSets in {root.absolute()}, nor in one of its folders"
        )
    if len(found) > 1:
        raise ValueError(
            f"`voc:{path}` must hold one data set, but holds {' and '.join(folder.name for folder in found)}: name one "
            f"of them, as voc:{found[0]}"
        )
    return found[0]


def _listed(root: Path, kind: str, split: str) -> _Lists:
    """What a split consists of.

    Where there is a `test`, it is tested on, and `trainval` is trained with, else `train`. Where there is none, `val`
    is tested on and `train` alone is trained with: `val` is a part of `trainval`.
    """
    folder = root / "ImageSets" / kind
    there = {name: folder / f"{name}.txt" for name in ("train", VAL, "trainval", "test")}
    there = {name: file for name, file in there.items() if file.is_file()}
    wanted = {
        "train": ("trainval", "train") if "test" in there or VAL not in there else ("train",),
        "test": ("test", VAL),
    }[split]
    chosen = next((name for name in wanted if name in there), None)
    if chosen is None:
        raise FileNotFoundError(f"there is no {' or '.join(f'{name}.txt' for name in wanted)} in {folder.absolute()}")
    lists = {name: _read_list(file) for name, file in there.items()}
    every = list(dict.fromkeys(name for names in lists.values() for name in names))
    return _Lists(VAL if chosen == VAL else split, lists[chosen], every)


def _read_list(file: Path) -> list[str]:
    names = [line.strip() for line in read_text(file, "list of pictures").splitlines() if line.strip()]
    if not names:
        raise ValueError(f"{file} must name at least one picture, but is empty")
    seen: set[str] = set()
    for name in names:
        if "/" in name or "\\" in name:
            raise ValueError(f"{file} must name pictures without their folders, got {name!r}")
        if name in seen:
            raise ValueError(f"{file} names the picture {name!r} twice: remove one of them")
        seen.add(name)
    return names


def _files(root: Path, folder: str, names: Sequence[str], suffixes: set[str]) -> list[str]:
    """The files of a folder that are called so, but for their endings."""
    if not (root / folder).is_dir():
        raise FileNotFoundError(f"there is no folder {folder} in {root.absolute()}")
    there: dict[str, str] = {}
    for entry in sorted(os.listdir(root / folder)):
        stem, suffix = os.path.splitext(entry)
        if suffix.lower() in suffixes:
            there.setdefault(stem, entry)
    if missing := [name for name in names if name not in there]:
        raise FileNotFoundError(
            f"{len(missing):,} of the {len(names):,} files that ImageSets lists are missing in "
            f"{(root / folder).absolute()}, such as that of {missing[0]}"
        )
    return [str(root / folder / there[name]) for name in names]


def _class_names(root: Path, every: Sequence[str], *, numbered: bool) -> tuple[str, ...]:
    """The classes, the background first.

    They are those of `class_names.txt`, which labelme writes; else the published ones where the annotations name no
    others; else those that the annotations name, in alphabetical order, by which pixels are hardly `numbered`.
    """
    own = root / _NAMES
    if own.is_file():
        names = tuple(line.strip() for line in read_text(own, "list of classes").splitlines() if line.strip())
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError(f"{own} must name the background and then each class once, one a line")
        return names
    annotations = (root / "Annotations" / f"{name}.xml" for name in every)
    named = {one.name for file in annotations if file.is_file() for one in read_voc_xml(file).objects}
    if not (strange := sorted(named - set(_PUBLISHED))):
        return (_BACKGROUND, *_PUBLISHED)
    if numbered:
        raise FileNotFoundError(
            f"there is no file {own}, though the classes, such as {strange[0]}, are not Pascal VOC's: name the "
            "background and the classes there, one a line, in the order of their numbers"
        )
    return (_BACKGROUND, *sorted(named))


def _boxes(picture: VocPicture, classes: Sequence[str]) -> list[Box]:
    def area(left: float, top: float, right: float, bottom: float) -> float:
        return (right - left) * (bottom - top)

    return [Box(one.corners, classes.index(one.name), one.difficult, area(*one.corners)) for one in picture.objects]
