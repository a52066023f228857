"""What is said of lines: what their alphas count, the barrier between two networks, and what is not finite."""

from collections.abc import Sequence

import numpy as np

from gradscape._names import one_line
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.figures.surfaces.curve_wording import follows_curve
from gradscape.figures.surfaces.norm_wording import describe_stored_ends
from gradscape.landscape import Barrier, Line
from gradscape.landscape.field import NON_FINITE

__all__ = ["alpha_label", "describe_barrier", "describe_findings", "describe_nonfinite", "leads_between"]

_NEGATIVE = ": beyond the two networks running variances become negative"


def leads_between(line: Line) -> bool:
    """Whether a line leads from one network to another, and not along a random direction."""
    return "other" in line.meta


def alpha_label(lines: Sequence[Line]) -> str:
    """What the alphas of lines count.

    Raises:
        ValueError: Those of some lines count other things than those of others, so that no axis serves all.
    """
    kinds = {"between" if leads_between(line) else "random" if "seed" in line.meta else "" for line in lines}
    if len(kinds) > 1 and "between" in kinds:
        raise ValueError(
            "`lines` must all lead from one network to another, or none of them: the alphas of a random direction "
            "count something else, so that one axis cannot serve both; draw them one by one"
        )
    along = [follows_curve(line) for line in lines]
    if any(along):
        ends = "(0: first network, 1: second)"
        return f"t along the curve {ends}" if all(along) else "alpha or t (0: first network, 1: second)"
    known = {"between": "alpha (0: first network, 1: second)", "random": "alpha (along a random direction)"}
    return known.get(kinds.pop(), "alpha") if len(kinds) == 1 else "alpha"


def describe_barrier(line: Line) -> str:
    """The barrier between two networks with its standard error, or why there is none; "" for other lines."""
    if not leads_between(line):
        return ""
    try:
        barrier = line.barrier()
    except ValueError:  # evaluated elsewhere, or a network whose own loss is not finite
        return "barrier unknown: the loss of both networks must be on the line, and finite"
    if barrier.height == 0:
        return "no barrier: the loss is nowhere above the straight line between both networks"
    if np.isinf(barrier.height):
        return f"barrier infinite: the loss is not finite at alpha {short_number(barrier.alpha)}"
    stderr = f" ± {short_number(barrier.stderr, 2)}" if barrier.stderr > 0 else ""
    return f"barrier {short_number(barrier.height)}{stderr} at alpha {short_number(barrier.alpha)}"


def describe_findings(line: Line) -> list[str]:
    """What a terminal says of a line, in sentences.

    The barrier and what it rests on, what networks have without recalibration, and why points are not finite.
    """
    said = []
    if barrier := describe_barrier(line):
        said.append(f"{one_line(line.meta.get('title', 'network'))} to {one_line(line.meta['other'])}: {barrier}")
        said[-1] += _basis(line)
    if stored := describe_stored_ends(line):
        said.append(stored)
    if missing := describe_nonfinite([line]):
        remedy = (
            f"; --grid 0:1:{len(line.alphas)} stays between them, --batch-norm recalibrated measures variances anew"
        )
        said.append(missing + (remedy if missing.endswith(_NEGATIVE) else ""))
    return said


def describe_nonfinite(lines: Sequence[Line]) -> str:
    """How many points have no finite loss, and why if it is known; "" where there are none."""
    lost = [line.alphas[(line.count > 0) & ~np.isfinite(line.loss)] for line in lines]
    count = sum(map(len, lost))
    if not count:
        return ""
    said = f"{count:,} point{'s' if count > 1 else ''} {NON_FINITE}"
    negative = [np.asarray(fitting(line.meta, "negative_variances", list[float]) or (), dtype=float) for line in lines]
    if all(np.isin(points, known).all() for points, known in zip(lost, negative, strict=True)):
        return said + _NEGATIVE
    return said


def _basis(line: Line) -> str:
    """What the barrier is above, and whose error it has."""
    try:
        barrier: Barrier = line.barrier()
    except ValueError:
        return ""
    if not barrier.height > 0 or np.isinf(barrier.height):
        return ""
    ends = [short_number(float(line.loss[line.alphas == end][0])) for end in (0, 1)]
    above = f", above the straight line from loss {ends[0]} to {ends[1]}"
    if np.isnan(barrier.stderr):
        return f"{above} ({barrier.images:,} images, too few for a standard error)"
    if barrier.stderr == 0:
        return f"{above} (all {barrier.images:,} images)"
    return f"{above} (± standard error over {barrier.images:,} images, the same at every point)"
