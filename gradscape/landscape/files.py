"""Files whose kind is found out by looking into them."""

import os

import h5py

from gradscape.landscape.line import Line
from gradscape.landscape.surface import Surface


def load_landscape(path: str | os.PathLike[str]) -> Surface | Line:
    """Read a surface or a line, whichever the file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds neither.
    """
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            if "ycoordinates" not in file:
                return Line.load(path)
    return Surface.load(path)
