"""Running variances that a direction moves: beyond the networks that they were measured on they turn negative."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from gradscape.landscape.directions import Direction

__all__ = ["negative_variances", "warn_of_negative_variances"]

_SHOWN = 6
_PART = 4096  # points at a time, whose variances are held in double

_log = logging.getLogger(__name__)


def negative_variances(
    model: nn.Module, directions: Sequence[Direction], axes: Mapping[str, np.ndarray]
) -> Bool[np.ndarray, "*grid"]:
    """Where on a grid a batch norm would divide by the root of a negative number.

    Args:
        model: Where all coordinates are 0.
        directions: One for each axis.
        axes: Coordinates by name, in the order of the directions.

    Returns:
        Indexed as surfaces are: the last axis of `axes` first.
    """
    grids = np.meshgrid(*axes.values())
    points = torch.as_tensor(np.stack([grid.ravel() for grid in grids], axis=1))
    negative = torch.zeros(len(points), dtype=torch.bool)
    for prefix, module in model.named_modules():
        name = f"{prefix}.running_var".removeprefix(".")
        if not isinstance(module, _NormBase) or module.running_var is None:
            continue
        origin = module.running_var.detach().double().cpu()
        changes = [direction[name].double().cpu() if name in direction else 0 * origin for direction in directions]
        if any(change.any() for change in changes):
            for part, found in zip(points.split(_PART), negative.split(_PART), strict=True):
                found |= (origin + part @ torch.stack(changes)).lt(0).any(dim=1)
    return negative.numpy().reshape(np.shape(grids[0]))


def warn_of_negative_variances(
    model: nn.Module, directions: Sequence[Direction], axes: Mapping[str, np.ndarray]
) -> None:
    """Say in the log why points of a grid will be NaN; nothing where none will.

    Args:
        model: Where all coordinates are 0.
        directions: One for each axis.
        axes: Coordinates by name.
    """
    negative = negative_variances(model, directions, axes)
    if not negative.any():
        return
    symbols = [name.removesuffix("s") for name in axes]
    where = zip(*(grid[negative] for grid in np.meshgrid(*axes.values())), strict=True)
    points = [f"{coordinates[0]:.4g}" if len(axes) == 1 else _pair(coordinates) for coordinates in where]
    more = f" and {len(points) - _SHOWN} more" if len(points) > _SHOWN else ""
    _log.warning(
        "running variances are negative at %s = %s%s: batch norm gives no meaningful number there, mostly NaN; "
        "stay closer to the trained networks, or let running statistics stay (`batch_norm='stored'`) or be measured "
        "anew (`batch_norm='recalibrated'`)",
        symbols[0] if len(symbols) == 1 else f"({', '.join(symbols)})",
        ", ".join(points[:_SHOWN]),
        more,
    )


def _pair(coordinates: Sequence[float]) -> str:
    return f"({', '.join(f'{coordinate:.4g}' for coordinate in coordinates)})"
