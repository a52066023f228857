"""What is said of batch norms' running statistics: whether they moved or were measured anew, and what that changed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from gradscape._names import data_name, one_line
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.landscape import Field, Line

__all__ = ["describe_batch_norm", "describe_stored_ends", "describe_stored_origin", "statistics_of", "stored_ends"]

_USUAL = {True: "moving", False: "stored"}
_SAID = {"moving": "batch-norm statistics move along", "stored": "batch-norm statistics stay"}
_STRANGE = (
    "batch-norm statistics stay those of the network that the plane leads through: heights at other networks' places "
    "are not theirs, --batch-norm recalibrated measures statistics anew"
)


def describe_batch_norm(meta: Mapping[str, Any]) -> str:
    """What became of running statistics, where that is not what the kind of result leads to expect; else "".

    Where networks are seen in a plane, their own statistics are expected.
    """
    norm = fitting(meta, "batch_norm", dict[str, Any]) or {}
    statistics = norm.get("statistics")
    if statistics == "recalibrated":
        named = fitting(meta, "calibration", dict[str, str]) or {}
        data, split = data_name(named.get("data") or ""), one_line(named.get("split") or "")
        source = f" of {data} ({split})" if data and split else ""
        return f"batch norm recalibrated at every point on {fitting(norm, 'images', int) or 0:,} images{source}"
    if statistics == "stored" and fitting(meta, "trajectories", list):
        return _STRANGE
    usual = _USUAL["other" in meta]
    return _SAID.get(statistics, "") if statistics in _SAID and statistics != usual else ""


def statistics_of(meta: Mapping[str, Any]) -> str:
    """What became of running statistics, in two words, where that is not what one expects; else ""."""
    statistics = (fitting(meta, "batch_norm", dict[str, Any]) or {}).get("statistics")
    return f"batch norm {statistics}" if describe_batch_norm(meta) else ""


def stored_ends(
    meta: Mapping[str, Any],
) -> tuple[Float[np.ndarray, " ends"], Float[np.ndarray, " ends"], Float[np.ndarray, " ends"]]:
    """Alphas, losses and errors of networks with their own statistics, where a result has others; else empty."""
    ends = fitting(fitting(meta, "batch_norm", dict[str, Any]), "stored_ends", dict[str, Any])
    columns = [fitting(ends, name, list[float | None]) or [] for name in ("alphas", "loss", "error")]
    if len({len(column) for column in columns}) > 1:  # of a file that something else has written
        columns = [[], [], []]
    alphas, losses, errors = (np.array([np.nan if one is None else one for one in column]) for column in columns)
    return alphas, losses, errors


def describe_stored_ends(line: Line) -> str:
    """What networks have with their own statistics, beside what recalibration makes of it; "" of other lines."""
    alphas, losses, _ = stored_ends(line.meta)
    said = []
    for alpha, loss in zip(alphas.tolist(), losses.tolist(), strict=True):
        here = line.loss[line.alphas == alpha] if alpha in line.alphas else np.atleast_1d(line.origin.loss)
        said.append(f"{_spelled(loss)} at alpha {alpha:g} (recalibrated {_spelled(float(here[0]))})")
    return f"with own batch-norm statistics loss {', '.join(said)}" if said else ""


def describe_stored_origin(field: Field) -> str:
    """The loss of a network with its own statistics, in whose landscape they are measured anew; "" of other fields."""
    _, losses, _ = stored_ends(field.meta)
    return f"loss {_spelled(float(losses[0]))} there with its own batch-norm statistics" if len(losses) else ""


def _spelled(loss: float) -> str:
    return short_number(loss) if np.isfinite(loss) else "non-finite"
