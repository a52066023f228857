"""Files whose kind is found out by looking into them."""

import os

from gradscape._hdf5 import open_hdf5
from gradscape.landscape.line import Line
from gradscape.landscape.surface import Surface

__all__ = ["load_landscape"]


def load_landscape(path: str | os.PathLike[str]) -> Surface | Line:
    """Read a surface or a line, whichever the file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds neither.
    """
    with open_hdf5(path, "landscape file") as file:
        kind = Surface if "ycoordinates" in file else Line
    return kind.load(path)
