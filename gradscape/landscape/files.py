"""Files whose kind is found out by looking into them."""

import os

from gradscape._hdf5 import open_hdf5
from gradscape.landscape.hessian.curvature_map import CurvatureMap
from gradscape.landscape.line import Line
from gradscape.landscape.surface import Surface

__all__ = ["load_landscape"]


def load_landscape(path: str | os.PathLike[str]) -> Surface | Line | CurvatureMap:
    """Read a surface, a line or a map of the curvature, whichever the file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds none of them.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> surface.save("surface.h5")
        >>> type(load_landscape("surface.h5")).__name__
        'Surface'
    """
    with open_hdf5(path, "landscape file") as file:
        kind: type[Surface | Line | CurvatureMap] = Surface if "ycoordinates" in file else Line
        if "max_eig" in file and "gradscape" in file and not ({"train_loss", "test_loss"} & set(file.names())):
            kind = CurvatureMap
    return kind.load(path)
