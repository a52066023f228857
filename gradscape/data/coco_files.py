"""Where the annotations of a data set in COCO's format lie, and where its pictures."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from gradscape.data.source import ALL, VAL

__all__ = ["CocoFiles", "find_annotations", "find_pictures"]

_WORDS = {"train": ("train",), "test": ("test", VAL)}
_ANNOTATED = "(?:instances_)?({word}[0-9]*)"


class CocoFiles(NamedTuple):
    """What is known of a split before it is read.

    Attributes:
        annotations: The JSON file.
        folders: Where its pictures may lie, likeliest first.
        split: What the split is called.
    """

    annotations: Path
    folders: tuple[Path, ...]
    split: str


def find_annotations(path: str, split: str) -> CocoFiles:
    """Find the annotations of a split.

    Args:
        path: A folder, or a JSON file, which has no split of its own.
        split: "train" or "test", for which "val" serves where there is no test.

    Raises:
        FileNotFoundError: There is nothing at the path, or no annotations of the split in it.
        ValueError: There is more than one file of annotations for it.
    """
    root = Path(path).expanduser()
    if root.suffix.lower() == ".json":
        beside = root.parent.parent if root.parent.name == "annotations" else root.parent
        ending = root.stem.removeprefix("instances_")
        folders = (*_folders(beside, ending), root.parent)
        return CocoFiles(root, tuple(dict.fromkeys(folders)), ALL)
    if not root.is_dir():
        raise FileNotFoundError(f"`coco:{path}`: there is no folder {root.absolute()}, nor is it a .json file")
    for word in _WORDS[split]:
        pattern = re.compile(_ANNOTATED.format(word=word))
        places = [place for place in (root / "annotations", root) if place.is_dir()]
        files = [file for place in places for file in sorted(place.glob("*.json")) if pattern.fullmatch(file.stem)]
        if len(files) > 1:
            raise ValueError(
                f"`coco:{path}` must have one file of annotations for {word}, but has {files[0].relative_to(root)} and "
                f"{files[1].relative_to(root)}: name the one that is meant as coco:FILE.json"
            )
        if files:
            return CocoFiles(files[0], _folders(root, files[0].stem.removeprefix("instances_")), word)
    looked = " or ".join(f"instances_{word}….json or {word}.json" for word in _WORDS[split])
    raise FileNotFoundError(
        f"`coco:{path}`: there is no {looked} in {root.absolute()} or its folder annotations: put one there, or name a "
        "file as coco:FILE.json"
    )


def _folders(root: Path, ending: str) -> tuple[Path, ...]:
    names = (ending, ending.rstrip("0123456789"), f"images/{ending}", "images", "")
    return tuple(dict.fromkeys(root / name for name in names))


def find_pictures(files: CocoFiles, names: Sequence[str]) -> list[str]:
    """Find the pictures that annotations name: all in one folder, or in folders of it.

    Args:
        files: Where to look.
        names: Of the pictures; at least one.

    Returns:
        Their paths.

    Raises:
        FileNotFoundError: They are not all in one of the folders.
        ValueError: A name leads out of the folder.
    """
    for name in names:
        kinds = (PurePosixPath(name), PureWindowsPath(name))
        if not name or any(kind.is_absolute() or kind.drive or ".." in kind.parts for kind in kinds):
            raise ValueError(
                f"{files.annotations}: `file_name` {name!r} leads out of the folder of pictures: correct it"
            )
    fewest: list[Path] = []
    for folder in files.folders:
        paths = [folder / name for name in names]
        missing = [path for path in paths if not path.is_file()]
        if not missing:
            return [str(path) for path in paths]
        if not fewest or len(missing) < len(fewest):
            fewest = missing
    looked = ", ".join(str(folder) for folder in files.folders)
    raise FileNotFoundError(
        f"{files.annotations}: {len(fewest):,} of its {len(names):,} pictures are missing, such as {fewest[0]}; "
        f"looked in {looked}"
    )
