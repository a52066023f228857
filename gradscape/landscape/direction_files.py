"""Direction files of Li et al.'s original tool: HDF5, tensors numbered in the order of the model."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from gradscape._hdf5 import Hdf5Group, open_hdf5, save_hdf5
from gradscape.landscape.directions import Direction
from gradscape.landscape.movable import is_movable

__all__ = ["load_directions", "save_directions"]

_AXES = ("xdirection", "ydirection")
_NATIVE = {
    **{letter: np.dtype(letter) for letter in "efdFD"},
    "G": np.dtype("D"),
}  # of this machine's byte order, as torch needs them


def load_directions(path: str | os.PathLike[str], model: nn.Module) -> tuple[Direction, ...]:
    """Read one or two directions for a model.

    A file with as many tensors as the model has parameters moves the parameters; one with as many as its
    state dict moves running statistics too (counters, which are no numbers to interpolate, stay).

    Args:
        path: HDF5 file with the groups `xdirection` and, for a surface, `ydirection`, each with datasets
            "0" … "n−1", float32, in the order of `parameters()` or of `state_dict()`.
        model: The network that the directions belong to; it is only read.

    Returns:
        One direction or two.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is something else, or does not fit the model.

    Example:
        >>> import torch
        >>> from gradscape.landscape import random_directions
        >>> net = torch.nn.Linear(4, 3)
        >>> directions = random_directions(net, seed=0)
        >>> save_directions("directions.h5", directions, net)
        >>> torch.equal(load_directions("directions.h5", net)[0]["weight"], directions[0]["weight"])
        True
    """
    with open_hdf5(path, "direction file") as file:
        if _AXES[0] not in file:
            raise ValueError(f"{path} holds no `{_AXES[0]}`: it is not a direction file")
        return tuple(_read_direction(file, axis, model) for axis in _AXES if axis in file)


def save_directions(path: str | os.PathLike[str], directions: Sequence[Direction], model: nn.Module) -> None:
    """Write one or two directions so that the original tool and `load_directions` can read them.

    Args:
        path: The HDF5 file, replaced atomically.
        directions: One direction or two; tensors that a direction lacks are written as zeros.
        model: Gives the order of the tensors.

    Example:
        >>> import torch
        >>> from gradscape.landscape import random_directions
        >>> net = torch.nn.Linear(4, 3)
        >>> save_directions("directions.h5", random_directions(net, seed=0), net)
        >>> len(load_directions("directions.h5", net))
        2
    """
    if not 1 <= len(directions) <= len(_AXES):
        raise ValueError(f"`directions` must be one or two, got {len(directions)}")
    parameters: Mapping[str, torch.Tensor] = dict(model.named_parameters())
    states = any(name not in parameters for direction in directions for name in direction)
    order = model.state_dict(keep_vars=True) if states else parameters
    canonical = _canonical_names(model)
    save_hdf5(
        path,
        {
            axis: [
                _stored(direction.get(canonical[id(tensor)], torch.zeros(tensor.shape))) for tensor in order.values()
            ]
            for axis, direction in zip(_AXES, directions, strict=False)
        },
    )


def _stored(values: torch.Tensor) -> np.ndarray:
    return (values if values.is_complex() else values.float()).cpu().numpy()


def _read_direction(file: Hdf5Group, axis: str, model: nn.Module) -> Direction:
    parameters: Mapping[str, torch.Tensor] = dict(model.named_parameters())
    state = model.state_dict(keep_vars=True)
    canonical = _canonical_names(model)
    count = file.group(axis).length()
    order = next((tensors for tensors in (parameters, state) if len(tensors) == count), None)
    if order is None:
        raise ValueError(
            f"{file.path} has {count} tensors in /{axis}, "
            f"but the model has {len(parameters)} parameters and {len(state)} states"
        )
    direction = {}
    for index, (stored, (name, tensor)) in enumerate(zip(file.arrays(axis), order.items(), strict=True)):
        values = torch.from_numpy(stored.astype(_NATIVE.get(stored.dtype.char, np.float64), copy=False))
        if values.shape != tensor.shape:
            raise ValueError(
                f"{file.path} has the shape {tuple(values.shape)} for tensor {index}, "
                f"but the model's {name} has {tuple(tensor.shape)}"
            )
        if not torch.isfinite(values).all():
            raise file.refusal(f"{axis}/{index}", "must be finite numbers")
        if values.is_complex() and not tensor.is_complex():
            raise file.refusal(f"{axis}/{index}", f"must be real numbers, as the model's {name} is")
        if is_movable(tensor):
            direction[canonical[id(tensor)]] = values.to(tensor)
    return direction


def _canonical_names(model: nn.Module) -> dict[int, str]:
    """The one name under which a tensor moves, also where several modules share it."""
    return {id(tensor): name for name, tensor in (*model.named_buffers(), *model.named_parameters())}
