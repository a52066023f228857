"""HDF5 files that may not be there, or may be something else."""

import os
from pathlib import Path

import h5py

__all__ = ["open_hdf5"]


def open_hdf5(path: str | os.PathLike[str], what: str) -> h5py.File:
    """Open a file for reading.

    Args:
        path: The file.
        what: What it should be ("direction file"), for the message.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not an HDF5 file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no {what} at {path}")
    try:
        return h5py.File(path, "r")
    except OSError as problem:
        raise ValueError(f"{path} is not an HDF5 file") from problem
