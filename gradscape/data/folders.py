"""Folders of images, one for each class."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from gradscape.data.pixels import IMAGE_SUFFIXES, decode_file
from gradscape.data.source import ALL, VAL, Source

__all__ = ["class_folders", "folder_images", "image_files", "listed_images"]

_log = logging.getLogger(__name__)


def folder_images(path: str, split: str) -> Source:
    """`path`/`split`/class folders with images; without `test`, `val` is taken.

    The classes are those of the training folder where there is one, so that both splits number them alike. Without
    both `test` and `val` there is no split: any is all of `train`, or of the class folders in `path` itself.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"`folder:{path}`: there is no folder {root.absolute()}")
    if (whole := _whole(root)) is not None:
        return replace(class_folders(whole, whole), split=ALL)
    folder = root / split
    if split == "test" and not folder.is_dir() and (root / "val").is_dir():
        _log.warning("`folder:%s` has no folder test: val is taken", path)
        return replace(class_folders(root / "val", root / "train"), split=VAL)
    if not folder.is_dir():
        raise FileNotFoundError(f"`folder:{path}`: there is no folder {folder.absolute()} with the {split} images")
    return class_folders(folder, root / "train")


def _whole(root: Path) -> Path | None:
    """Where the class folders lie of data without a split of their own; None if there is one, or no image."""
    train, *others = (root / name for name in ("train", "test", "val"))
    if any(folder.is_dir() for folder in others):
        return None
    if train.is_dir():
        return train
    classes = _subfolders(root)
    # Images deeper down may be those of splits that are called otherwise.
    return root if classes and all(any(map(_is_image, (root / name).iterdir())) for name in classes) else None


def class_folders(folder: Path, train: Path) -> Source:
    """Images of the class folders in `folder`, numbered as in `train` where that exists; more classes are refused."""
    classes = _subfolders(folder)
    if train.is_dir() and folder != train:
        known = _subfolders(train)
        if unknown := sorted(set(classes) - set(known)):
            raise ValueError(f"`{folder}` must have no class that {train} lacks, but has {', '.join(unknown)}")
        classes = known
    return image_files(folder, classes)


def image_files(folder: Path, classes: tuple[str, ...]) -> Source:
    """Images under `folder`/CLASS, at any depth, sorted by path within each class; a class may be absent."""
    paths: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue
        found = sorted(
            str(Path(place, file))
            for place, _, files in os.walk(folder / name, followlinks=True)
            for file in files
            if _is_image(Path(file))
        )
        if not found:
            raise ValueError(f"the class folder `{folder / name}` holds no image; fill or remove it")
        paths += found
        labels += [label] * len(found)
    if not paths:
        raise ValueError(f"`{folder}` must hold one folder of images for each class, but has no such folder")
    return listed_images(paths, labels, classes)


def listed_images(paths: Sequence[str], labels: Sequence[int], classes: tuple[str, ...]) -> Source:
    """Images of the files `paths`, decoded when they are read, with a label for each."""
    read = partial(decode_file, tuple(paths))
    return Source(read, np.array(labels, dtype=np.int64), classes, threads=True, lazy=True)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")


def _subfolders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")))
