"""Files of `torch.save`, read without running anything in them and without believing what they declare."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from gradscape._files import check_readable
from gradscape._zip_files import check_contents, opened_zip, within_file

__all__ = ["is_script", "read_torch"]


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
    if zipfile.is_zipfile(path):
        with opened_zip(path) as (archive, _):
            check_contents(archive)  # torch is built without
    with within_file(), torch.serialization.safe_globals(list(known)):
        return torch.load(path, weights_only=True, map_location="cpu")


def is_script(path: Path) -> bool:
    """Whether a file holds a TorchScript program."""
    try:
        with opened_zip(path) as (_, members):
            return any(name.endswith("/constants.pkl") for name in members)
    except (zipfile.BadZipFile, ValueError, NotImplementedError):  # an old file, or a damaged one
        return False
