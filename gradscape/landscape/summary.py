"""What a surface or a line is, in five lines: its grid, network, data, loss and error."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.landscape.field import value_label
from gradscape.landscape.statistics import BlockStatistics, Floats

__all__ = ["summarize"]

_DIGITS = 3


def summarize(
    kind: str, axes: Mapping[str, Floats], blocks: BlockStatistics, origin: BlockStatistics, meta: Mapping[str, Any]
) -> str:
    """Put a result into five lines.

    Args:
        kind: What it is called.
        axes: Coordinates by their names.
        blocks: What was measured on the grid.
        origin: The same at the trained network itself.
        meta: Provenance.
    """
    lines = {
        "model": one_line(Provenance.of(meta).called or "unknown"),
        "data": _data(blocks, meta),
        value_label(meta, "loss"): _values(blocks.loss, origin.loss, stderr=origin.stderr),
        value_label(meta, "error"): _values(100 * blocks.error, 100 * origin.error, unit=" %"),
    }
    width = max(map(len, lines))
    return "\n".join(
        [f"{kind}: {_grid(axes, blocks)}", *(f"  {name:<{width}}  {said}" for name, said in lines.items())]
    )


def _grid(axes: Mapping[str, Floats], blocks: BlockStatistics) -> str:
    parts = [" × ".join(str(len(axis)) for axis in axes.values()) + " points"]
    parts += [f"{name} {_number(axis.min())} to {_number(axis.max())}" for name, axis in axes.items()]
    missing, lost = int((blocks.images == 0).sum()), int(((blocks.images > 0) & ~np.isfinite(blocks.loss)).sum())
    parts += [f"{missing} not evaluated"] if missing else []
    parts += [f"{lost} with a non-finite loss"] if lost else []
    return ", ".join(parts)


def _data(blocks: BlockStatistics, meta: Mapping[str, Any]) -> str:
    name, split = one_line(meta.get("data") or "unknown"), one_line(meta.get("split") or "")
    seen, population = int(blocks.images.max(initial=0)), int(meta.get("population") or blocks.population)
    images = f"{seen:,} of {population:,} images" if population > seen else f"{seen:,} image{'s' if seen != 1 else ''}"
    return ", ".join([f"{name} ({split})" if split else name, images])


def _values(values: Floats, at_origin: Floats, *, stderr: Floats | None = None, unit: str = "") -> str:
    """The range of finite values, and the value at the origin."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return "not measured"
    text = f"{_number(finite.min())} to {_number(finite.max())}{unit}"
    if np.isfinite(at_origin):
        sure = f" ± {_number(float(stderr), 2)}" if stderr is not None and stderr > 0 else ""
        text += f", {_number(float(at_origin))}{sure}{unit} at the origin"
    return text


def _number(value: float, digits: int = _DIGITS) -> str:
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")
