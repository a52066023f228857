"""Files of `torch.save`, read without running anything in them and without believing what they declare."""

import os
import pickletools
import warnings
import zipfile
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from gradscape._files import check_readable
from gradscape._zip_files import check_contents, opened_zip, within_file

__all__ = ["is_script", "read_torch"]

_ZIP = b"PK\x03\x04"
_BEFORE_TENSORS = 4  # pickles of an old file: two numbers, the sizes of the system's integers, and the object itself
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4")
_REFERENCES = ("PERSID", "BINPERSID")
_REACH = 10  # steps from the count of a storage's numbers to its reference, with those of a view between them


def read_torch(path: Path, known: Iterable[tuple[type, str]] = ()) -> Any:
    """Read tensors and plain objects on the CPU.

    Args:
        path: The file.
        known: Stand-ins for types that torch does not know to be harmless, with the names of these.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        Exception: It is no such file, damaged, or holds another type; torch raises nearly every one.
    """
    check_readable(path)
    if _is_taken_for_zip(path):
        with opened_zip(path) as (archive, _):
            check_contents(archive)  # torch is built without
    else:
        _check_old(path)
    with within_file(), torch.serialization.safe_globals(list(known)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of protocols and storages, which torch either reads or refuses
        return torch.load(path, weights_only=True, map_location="cpu")


def is_script(path: Path) -> bool:
    """Whether a file holds a TorchScript program."""
    try:
        with opened_zip(path) as (_, members):
            return any(name.endswith("/constants.pkl") for name in members)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # an old file, or a damaged one
        return False


def _is_taken_for_zip(path: Path) -> bool:
    """Whether torch will read a file as a zip file, as it does of any with such a beginning, whole or not."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def _check_old(path: Path) -> None:
    """Refuse a file from before torch 1.6 that declares tensors of more numbers than it has bytes: torch makes room.

    What cannot be followed here is left to torch, which then says what is wrong with it.

    Raises:
        ValueError: It does.
    """
    size, largest = os.stat(path).st_size, 0
    with path.open("rb") as file, suppress(Exception):  # pickletools raises anything on bytes that are no pickle
        for _ in range(_BEFORE_TENSORS):
            largest = max(largest, _largest_storage(file))
    if largest > size:
        raise ValueError(f"it has {size:,} bytes and claims a tensor of {largest:,} numbers")


def _largest_storage(file: BinaryIO) -> int:
    """How many numbers the largest tensor has that a pickle refers to; nothing of it is made."""
    largest, recent = 0, deque([0], maxlen=_REACH)
    for code, value, _ in pickletools.genops(file):
        if code.name in _REFERENCES:
            largest = max(largest, *recent)
        recent.append(int(value or 0) if code.name in _NUMBERS else 0)
    return largest
