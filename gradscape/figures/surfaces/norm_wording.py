"""What is said of batch norms' running statistics: whether they moved or were measured anew, and what that changed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from gradscape._names import data_name, one_line
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.landscape import Line

__all__ = ["describe_batch_norm", "describe_stored_ends", "stored_ends"]

_USUAL = {True: "moving", False: "stored"}
_SAID = {"moving": "batch-norm statistics move along", "stored": "batch-norm statistics stay"}


def describe_batch_norm(meta: Mapping[str, Any]) -> str:
    """What became of running statistics, where that is not what the kind of result leads to expect; else ""."""
    norm = fitting(meta, "batch_norm", dict[str, Any]) or {}
    statistics = norm.get("statistics")
    if statistics == "recalibrated":
        named = fitting(meta, "calibration", dict[str, str]) or {}
        data, split = data_name(named.get("data") or ""), one_line(named.get("split") or "")
        source = f" of {data} ({split})" if data and split else ""
        return f"batch norm recalibrated at every point on {norm.get('images', 0):,} images{source}"
    usual = _USUAL["other" in meta]
    return _SAID.get(statistics, "") if statistics in _SAID and statistics != usual else ""


def stored_ends(
    line: Line,
) -> tuple[Float[np.ndarray, " ends"], Float[np.ndarray, " ends"], Float[np.ndarray, " ends"]]:
    """Alphas, losses and errors of networks with their own statistics, of a line that has others; empty otherwise."""
    norm = fitting(line.meta, "batch_norm", dict[str, Any]) or {}
    ends = norm.get("stored_ends") or {}
    alphas, losses, errors = (
        np.array([np.nan if one is None else one for one in ends.get(name, [])], dtype=float)
        for name in ("alphas", "loss", "error")
    )
    return alphas, losses, errors


def describe_stored_ends(line: Line) -> str:
    """What networks have as they are stored, beside what recalibration made of them; "" of other lines."""
    alphas, losses, _ = stored_ends(line)
    said = []
    for alpha, loss in zip(alphas.tolist(), losses.tolist(), strict=True):
        here = line.loss[line.alphas == alpha] if (line.alphas == alpha).any() else np.atleast_1d(line.origin.loss)
        said.append(f"{short_number(loss)} (recalibrated {short_number(float(here[0]))}) at alpha {alpha:g}")
    return f"with its own statistics loss {' and '.join(said)}" if said else ""
