"""Arrays in `.npz` files: what a file declares is believed only as far as its own size bears it out."""

import math
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
from numpy.lib import format as npy

from gradscape._files import check_readable
from gradscape._names import error_line
from gradscape._zip_files import opened_zip

__all__ = ["list_npz", "read_npz"]

_SUFFIX = ".npy"
_KINDS = "biufcSU"  # neither objects, which are pickles, nor records, nor moments
_CHUNK = 2**20


def read_npz(
    path: str | os.PathLike[str], wanted: Callable[[str], bool] | None = None, *, refusal: str = ""
) -> dict[str, np.ndarray]:
    """Read arrays, each checked against the directory, its own header and its checksum.

    Args:
        path: The file.
        wanted: Whether an array of this name is to be read; None for all.
        refusal: How the message begins where the file is not such; what follows says why.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        ValueError: It is no such file, damaged, declares more than it can hold, or holds more than there is memory for.
    """
    with _opened(path, refusal, whole=wanted is None) as (archive, members):
        return {
            name: _read(archive, member, name) for name, member in members.items() if wanted is None or wanted(name)
        }


def list_npz(path: str | os.PathLike[str]) -> list[str]:
    """Names of the arrays in a file; errors as `read_npz`."""
    with _opened(path, "") as (_, members):
        return list(members)


@contextmanager
def _opened(
    path: str | os.PathLike[str], refusal: str, *, whole: bool = False
) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    check_readable(path, ".npz file")
    refusal = refusal or f"`{os.fspath(path)}` must be a .npz file of plain arrays"
    try:
        with opened_zip(path) as (archive, members):
            strange = [name for name in members if not name.endswith(_SUFFIX)]
            if whole and strange:
                raise ValueError(f"`{strange[0]}` in it is no array")
            yield archive, {name.removesuffix(_SUFFIX): one for name, one in members.items() if name.endswith(_SUFFIX)}
    except MemoryError:
        raise ValueError(f"{refusal}: it holds more than there is memory for") from None
    except OSError:
        raise
    except Exception as error:  # zip, header and type errors alike, on bytes made by anyone
        raise ValueError(f"{refusal}: {error_line(error)}") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    with archive.open(member) as opened:
        stream = cast(zipfile.ZipExtFile, opened)
        shape, dtype, turned, began = _read_header(stream, name)
        size = math.prod(shape) * dtype.itemsize
        # Its checksum is looked at where a member ends, so that every byte has to be read.
        if began + size != member.file_size:
            raise ValueError(f"`{name}` claims {dtype} {shape}, {size:,} bytes, and has {member.file_size - began:,}")
        values = np.empty(size, np.uint8)
        filled = 0
        while filled < size:
            chunk = stream.read(min(_CHUNK, size - filled))
            if not chunk:
                raise ValueError(f"`{name}` is cut off")
            values[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
            filled += len(chunk)
    array = np.ndarray(shape, dtype, buffer=values, order="F" if turned else "C")
    if dtype.kind == "U" and dtype.itemsize and np.any(array.reshape(-1).view(np.uint32) > 0x10FFFF):
        raise ValueError(f"`{name}` holds numbers that are no characters")
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _read_header(stream: zipfile.ZipExtFile, name: str) -> tuple[tuple[int, ...], np.dtype, bool, int]:
    """Shape, type, whether columns come first, and where the values begin."""
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"`{name}` has version {version} of NumPy's format")
    parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, turned, dtype = parse(stream)
    except Exception as error:  # Python's parser, on any text
        raise ValueError(f"`{name}` has a header that cannot be read") from error
    if dtype.hasobject:
        raise ValueError(f"`{name}` holds objects of Python, which are not read, since they can run code")
    if dtype.kind not in _KINDS or dtype.fields or dtype.subdtype or any(side < 0 for side in shape):
        raise ValueError(f"`{name}` holds {dtype} {shape}, and not plain numbers, truth values or text")
    return shape, dtype, turned, stream.tell()
