"""What is said of networks in a plane: axes, what a plane shows of a path, and what lies off it or outside."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from gradscape._names import one_line
from gradscape._schema import fitting
from gradscape.figures.style import short_number
from gradscape.landscape import Field, Trajectory

__all__ = ["FARTHEST", "axis_labels", "describe_trajectories", "farthest", "point_text", "trajectories_of", "within"]

FARTHEST = "farthest"
"""Entry of a frame's provenance: the largest distance off the plane of all frames, so that circles can be compared."""

_USUAL = ("alpha (direction 1)", "beta (direction 2)")
_MOST_NAMED = 3  # points outside, by their names
_LONGEST = 20  # letters of a label where there is no room
_NOTHING = 1e-6  # of a path's extent: so far off the plane is rounding


def trajectories_of(field: Field) -> list[Trajectory]:
    """The networks that a field's provenance places in its plane.

    Raises:
        ValueError: An entry is no trajectory.
    """
    return [Trajectory.from_entry(entry) for entry in fitting(field.meta, "trajectories", list) or ()]


def axis_labels(meta: Mapping[str, Any], *, brief: bool = False, usual: tuple[str, str] = _USUAL) -> tuple[str, str]:
    """What the two directions are, as the provenance has it; else their numbers.

    Args:
        meta: Provenance, with two texts as `axes`.
        brief: Leave out what stands in brackets, where there is no room.
        usual: What they are otherwise.
    """
    told = fitting(meta, "axes", list[str]) or []
    if len(told) != 2:
        return usual
    first, second = (_cut(one_line(text).partition(" (")[0]) if brief else one_line(text) for text in told)
    return first, second


def within(field: Field, trajectory: Trajectory) -> Bool[np.ndarray, " networks"]:
    """Which networks lie above or below the grid, and not beside it."""
    inside = np.ones(len(trajectory.labels), dtype=bool)
    for places, axis in ((trajectory.alphas, field.alphas), (trajectory.betas, field.betas)):
        slack = 1e-9 * float(np.ptp(axis))
        inside &= (places >= axis.min() - slack) & (places <= axis.max() + slack)
    return inside


def farthest(field: Field) -> float:
    """The largest distance off the plane, of all frames where the field is one of several; 0 where it is rounding."""
    trajectories = trajectories_of(field)
    if (shared := fitting(field.meta, FARTHEST, float)) is not None:
        return shared
    most = max((float(one.distance.max()) for one in trajectories), default=0.0)
    extent = max((float(np.ptp(side)) for one in trajectories for side in (one.alphas, one.betas)), default=0.0)
    return most if most > _NOTHING * extent else 0.0


def point_text(trajectory: Trajectory, number: int) -> str:
    """What is read off at a network: whose, which, and how far off the plane."""
    name = "" if len(trajectory.labels) == 1 else f"{one_line(trajectory.name)}, "
    distance = short_number(float(trajectory.distance[number]))
    return f"{name}{one_line(trajectory.labels[number])}: {distance} off the plane"


def describe_trajectories(field: Field) -> list[str]:
    """What a caption says of each trajectory."""
    trajectories = trajectories_of(field)
    return [_described(field, one, circled=farthest(field) > 0) for one in trajectories]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _described(field: Field, trajectory: Trajectory, *, circled: bool) -> str:
    labels = [one_line(label) for label in trajectory.labels]
    several = f"{labels[0]} to {labels[-1]}" if trajectory.joined and len(labels) > 1 else ", ".join(labels)
    parts = [f"{one_line(trajectory.name)} ({several})", *_explained(trajectory)]
    if circled and trajectory.distance.any():
        parts.append(f"up to {short_number(float(trajectory.distance.max()))} off the plane (size of the circles)")
    outside = [labels[number] for number in np.flatnonzero(~within(field, trajectory))]
    if outside:
        named = ", ".join(outside[:_MOST_NAMED]) + (", …" if len(outside) > _MOST_NAMED else "")
        parts.append(f"{len(outside)} of {len(labels)} outside of the grid ({named})")
    return ", ".join(parts)


def _explained(trajectory: Trajectory) -> list[str]:
    """What the plane shows of a path beside what it would of a random walk."""
    if np.isnan(trajectory.shares).any():
        return []
    own = " and ".join(_percent(trajectory.shares))
    if np.isnan(trajectory.random_walk_shares).any():
        return [f"the axes explain {own} of its spread"]
    walk = " and ".join(_percent(trajectory.random_walk_shares))
    said = f"the axes explain {own} of its spread, of a random walk's {walk}"
    if trajectory.shares.sum() <= trajectory.random_walk_shares.sum():
        said += ": no more than of chance"
    return [said]


def _percent(shares: np.ndarray) -> list[str]:
    return [f"{100 * share:.0f} %" for share in shares]
