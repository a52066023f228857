"""Findings that were mended: their files are kept, and tried again for ever."""

import csv
import gzip
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.fuzz.attempt import Input
from tests.fuzz.kinds import Kinds
from tests.fuzz.originals import CANARY

__all__ = ["keep_input", "kept_input", "kept_rows"]

FOLDER = Path(__file__).with_name("kept")
_LIST = FOLDER / "list.csv"


class KeptRow(NamedTuple):
    """What is known of a kept file.

    Attributes:
        file: Its name.
        kind: Of input.
        original: Name of the valid file that it was.
        sealed: "yes" where a checksum tells that it is damaged, so that other numbers must not be read.
        finding: What came of it.
    """

    file: str
    kind: str
    original: str
    sealed: str
    finding: str


def kept_rows() -> list[KeptRow]:
    """All that is kept."""
    with _LIST.open(newline="", encoding="utf-8") as file:
        return [KeptRow(*row) for row in list(csv.reader(file))[1:]]


def keep_input(kinds: Kinds, seed: int, number: int, *, finding: str, place: Path) -> Path:
    """Keep the file of an input.

    Args:
        kinds: Makes it.
        seed: Of the campaign.
        number: Of the input.
        finding: What came of it, in a few words.
        place: An empty folder.

    Returns:
        The kept file.

    Raises:
        ValueError: It is made of no single file: write a test beside what was mended.
    """
    kind, one = kinds.make(seed, number, place)
    files = [path for path in place.iterdir() if path.name in one.named]
    if len(files) != 1:
        raise ValueError(f"input {number} of seed {seed} is no single file but {one.how}: write a test of its own")
    kept = FOLDER / f"{kind.replace(' ', '-')}-{seed}-{number}{files[0].suffix}.gz"
    kept.write_bytes(gzip.compress(files[0].read_bytes(), mtime=0))
    row = KeptRow(kept.name, kind, files[0].name, "no" if one.plain else "yes", finding)
    with _LIST.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow(row)
    return kept


def kept_input(kinds: Kinds, row: KeptRow, place: Path) -> Input:
    """An input that is read as it was when it was found.

    Args:
        kinds: Has the valid files.
        row: Which.
        place: An empty folder.
    """
    original = kinds.original(row.kind, row.original)
    path = place / row.original
    path.write_bytes(gzip.decompress((FOLDER / row.file).read_bytes()))
    return Input(
        how=f"kept {row.file}",
        read=partial(original.read, path),
        expected=original.numbers,
        plain=None if row.sealed == "yes" else partial(original.plain, path),
        named=(path.name,),
        canary=place / CANARY,
    )
