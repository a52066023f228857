"""Whether the way along a curve is lower than the straight one, told over the same images."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, final

import numpy as np

from gradscape._schema import fitting
from gradscape.landscape.line import Line
from gradscape.landscape.statistics import BlockStatistics, paired_difference, student_half_width
from gradscape.landscape.surface import Value

__all__ = ["Detour", "measure_detour"]

_LEVEL = 0.95


@final
@dataclass(frozen=True)
class Detour:
    """The highest value along a curve, beside that along the straight line between the same networks.

    Attributes:
        value: "loss" or "error".
        curve_highest: In the loss's unit, or as a share; infinite where a loss on the curve is not finite.
        curve_at: The t where it is.
        line_highest: The same of the line.
        line_at: The alpha where it is.
        difference: Curve minus line.
        stderr: Standard error of the difference of these two points, paired over blocks of images; 0 where all images
            were seen, NaN where blocks are too few or too alike to tell.
        low: Lower end of the difference's 95 % interval, Student's over blocks.
        high: Upper end.
        images: How many images it rests on.
    """

    value: Value
    curve_highest: float
    curve_at: float
    line_highest: float
    line_at: float
    difference: float
    stderr: float
    low: float
    high: float
    images: int

    @property
    def verdict(self) -> str:
        """Whether the curve is "lower" or "higher", where the interval tells, else "not told apart"."""
        return "lower" if self.high < 0 else "higher" if self.low > 0 else "not told apart"


def measure_detour(curve: Line, line: Line, *, value: Value = "loss") -> Detour:
    """Compare the highest point of a curve with that of a straight line.

    Args:
        curve: From `Curve.evaluate`.
        line: From one network (alpha 0) to the other (1), as `evaluate_line` gives it; points beyond them do not count.
        value: "loss" or "error".

    Raises:
        ValueError: They were evaluated on other images, by another loss or metric, or with other statistics of batch
            norms, or nothing of that value was measured.

    Source: for the standard error Cochran (1977), section 9A.

    Example:
        >>> import torch
        >>> from gradscape.landscape import difference_direction, evaluate_line, fit_curve
        >>> first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
        >>> batches = [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> line = evaluate_line(first, batches, difference_direction(first, second), [0.0, 0.5, 1.0])
        >>> curve = fit_curve(first, second, batches, epochs=2).evaluate(first, batches, [0.0, 0.5, 1.0])
        >>> measure_detour(curve, line).images
        64
    """
    if value not in ("loss", "error"):
        raise ValueError(f"`value` must be loss or error, got {value!r}")
    _check_comparable(curve.meta, line.meta)
    common = _common_blocks(curve.meta, line.meta)
    on_curve, curve_at = _highest(curve, value, common)
    on_line, line_at = _highest(line, value, common)
    shared = np.where(on_curve.count == on_line.count, on_curve.count, 0)
    found, spread = paired_difference(*(replace(one, count=shared) for one in (on_curve, on_line)))
    heights = [float(_finite_or_infinite(one.loss[0])) for one in (on_curve, on_line)]
    images, difference = int(shared.sum()), heights[0] - heights[1]
    if np.isfinite(difference):
        difference = float(found[0])
    stderr = _settled_error(float(spread[0]), difference, everything=images == on_curve.population)
    reach = float(student_half_width(stderr, int((shared > 0).sum()) - 1, _LEVEL))
    return Detour(
        value=value,
        curve_highest=heights[0],
        curve_at=curve_at,
        line_highest=heights[1],
        line_at=line_at,
        difference=difference,
        stderr=stderr,
        low=difference - reach,
        high=difference + reach,
        images=images,
    )


def _settled_error(stderr: float, difference: float, *, everything: bool) -> float:
    """0 of all images; unknown where a few blocks agree by chance, or a loss is not finite."""
    if not np.isfinite(difference):
        return np.nan
    return 0.0 if everything else stderr or np.nan


def _highest(line: Line, value: Value, common: int) -> tuple[BlockStatistics, float]:
    """The values at the highest point between the two networks on the first blocks of images, and where it is."""
    whole = line.blocks
    blocks = replace(whole, **{name: getattr(whole, name)[:common] for name in BlockStatistics.arrays()})
    between = np.flatnonzero((line.alphas >= 0) & (line.alphas <= 1) & (blocks.images > 0))
    blocks = blocks.points(between)
    if value == "error":
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = 1 - blocks.right / blocks.count
        blocks = replace(blocks, mean=shares)
    if not len(between) or np.isnan(blocks.mean[blocks.count > 0]).all():
        raise ValueError(f"`value` {value} was not measured on both of them")
    heights = _finite_or_infinite(blocks.loss)
    highest = int(np.argmax(heights))
    return blocks.points(np.array([highest])), float(line.alphas[between][highest])


def _common_blocks(first: Mapping[str, Any], second: Mapping[str, Any]) -> int:
    """How many blocks of images both begin with: one that was stopped has seen fewer."""
    pairs = zip(first.get("blocks") or (), second.get("blocks") or (), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _finite_or_infinite(values: Any) -> Any:
    return np.where(np.isfinite(values), values, np.inf)


def _check_comparable(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    norms = [(fitting(meta, "batch_norm", dict[str, Any]) or {}).get("statistics") for meta in (first, second)]
    for what, same, fix in (
        ("images", _common_blocks(first, second) > 0, "use one data set and seed"),
        ("loss and metric", first.get("functions") == second.get("functions"), "use the same for both"),
        ("statistics of batch norms", norms[0] == norms[1], "give both the same `batch_norm`"),
    ):
        if not same:
            raise ValueError(f"`line` must be evaluated with the {what} of `curve`: {fix}")
