"""HDF5 files that may not be there, may be something else, or may be in another program's hands."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import h5py

from gradscape._files import check_readable, replacing
from gradscape._names import error_line

__all__ = ["open_hdf5", "replacing_hdf5"]

_GROWTH = 2**22  # bytes that a file in memory grows by
_LOCKED = (errno.EAGAIN, errno.EACCES)  # what systems say of a lock; that the file may be read is known by then


def open_hdf5(path: str | os.PathLike[str], what: str) -> h5py.File:
    """Open a file for reading.

    A file that another program has open for writing is not read, as half of it may be old and half new.

    Args:
        path: The file.
        what: What it should be ("direction file"), for the message.

    Raises:
        FileNotFoundError: There is no such file.
        BlockingIOError: Another program has it open for writing.
        OSError: It cannot be opened: it is a folder, it may not be read, …
        ValueError: It is not an HDF5 file, or a damaged one.
    """
    check_readable(path, what)
    try:
        return h5py.File(path, "r")
    except OSError as problem:
        name = os.fspath(path)
        if problem.errno in _LOCKED:
            raise BlockingIOError(
                f"{name} is open in another program, which may be writing it: wait until that has ended or close it"
            ) from problem
        if problem.errno:
            raise OSError(problem.errno, os.strerror(problem.errno), name) from problem
        if h5py.is_hdf5(path):
            raise ValueError(f"{name} is a damaged or cut off HDF5 file: {error_line(problem)}") from problem
        checkpoint = "; it is a checkpoint: gradscape landscape makes surfaces of those"
        advice = checkpoint if name.endswith(".safetensors") else ""
        raise ValueError(f"{name} is not an HDF5 file{advice}") from problem


@contextmanager
def replacing_hdf5(path: str | os.PathLike[str]) -> Iterator[h5py.File]:
    """Make a file in memory, which takes the place of what is at `path`, all at once, when the block ends.

    The library itself must not write to disks: where one is full it fails again at every later object, at the end of
    the program too, and says so at length.

    Args:
        path: The file to create or replace; missing folders are made.

    Yields:
        The file, open for writing.

    Raises:
        OSError: As `replacing`.
    """
    with h5py.File.in_memory(block_size=_GROWTH) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with replacing(path) as partial:
        partial.write_bytes(image)
