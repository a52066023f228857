"""A trajectory: where networks lie in a plane, and how far off it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, final

import numpy as np
from jaxtyping import Float

from gradscape._schema import check_record

__all__ = ["Trajectory", "TrajectoryEntry"]


class TrajectoryEntry(TypedDict):
    """A trajectory as JSON holds it: numbers that mean nothing are null."""

    name: str
    labels: list[str]
    alphas: list[float]
    betas: list[float]
    distance: list[float]
    shares: list[float | None]
    random_walk_shares: list[float | None]
    joined: bool


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectory:
    """Places of networks in a plane θ + alpha·d₁ + beta·d₂.

    Attributes:
        alphas: Coordinate of each network's nearest point of the plane along the first direction, (networks,).
        betas: The same along the second.
        distance: Euclidean distance of each network's parameters from that point: how far off the plane it lies.
        shares: What the two axes explain of the networks' squared distances from their center, each in [0, 1], (2,);
            NaN where the plane was not made for them.
        random_walk_shares: The same for a random walk of as many steps in very many dimensions: a plane that explains
            no more shows nothing.
        labels: What each network is called: "epoch 3", or a name.
        name: What all are called together.
        joined: Whether they follow each other, as a training's; else each is a point by itself.
    """

    alphas: Float[np.ndarray, " networks"]
    betas: Float[np.ndarray, " networks"]
    distance: Float[np.ndarray, " networks"]
    labels: tuple[str, ...]
    name: str
    joined: bool = True
    shares: Float[np.ndarray, "2"]
    random_walk_shares: Float[np.ndarray, "2"]

    def __post_init__(self) -> None:
        count = len(self.labels)
        if not count:
            raise ValueError("`labels` must name at least one network, got none")
        for argument in ("alphas", "betas", "distance"):
            values = getattr(self, argument)
            if values.shape != (count,) or not np.isfinite(values).all():
                raise ValueError(f"`{argument}` must be {count} finite numbers, one for each label, got {values}")
        if (self.distance < 0).any():
            raise ValueError(f"`distance` must be 0 or more, got {self.distance.min():g}")
        for argument in ("shares", "random_walk_shares"):
            values = getattr(self, argument)
            if values.shape != (2,) or (values < 0).any() or (values > 1).any():
                raise ValueError(f"`{argument}` must be two numbers in [0, 1] or NaN, got {values}")

    def __repr__(self) -> str:
        explained = "" if np.isnan(self.shares).any() else f", {self.shares.sum():.1%} explained"
        return f"Trajectory({self.name!r}, {len(self.labels)} networks{explained})"

    def frame(self, *others: "Trajectory", margin: float = 0.2) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of alpha and beta that show all networks, this one's and those of others in the same plane.

        Args:
            others: More trajectories in the same plane.
            margin: Room on each side, as a share of the longer of the two ranges.

        Returns:
            (lowest, highest alpha) and (lowest, highest beta).

        Raises:
            ValueError: `margin` is not positive.

        Example:
            >>> import numpy as np
            >>> unknown = np.full(2, np.nan)
            >>> path = Trajectory(
            ...     alphas=np.array([-4.0, 0.0]), betas=np.array([1.0, 0.0]), distance=np.zeros(2),
            ...     labels=("epoch 0", "epoch 1"), name="run", shares=unknown, random_walk_shares=unknown,
            ... )
            >>> path.frame(margin=0.25)
            ((-5.0, 1.0), (-1.0, 2.0))
        """
        if not 0 < margin < math.inf:
            raise ValueError(f"`margin` must be a positive share of the longer range, got {margin}")
        sides = [
            np.concatenate([getattr(one, axis) for one in (self, *others)]).astype(float)
            for axis in ("alphas", "betas")
        ]
        room = margin * (max(float(np.ptp(side)) for side in sides) or 1.0)
        alphas, betas = ((float(side.min()) - room, float(side.max()) + room) for side in sides)
        return alphas, betas

    def to_entry(self) -> TrajectoryEntry:
        """The trajectory as plain JSON, for a surface's `meta["trajectories"]`."""
        return {
            "name": self.name,
            "labels": list(self.labels),
            "alphas": self.alphas.tolist(),
            "betas": self.betas.tolist(),
            "distance": self.distance.tolist(),
            "shares": _nulled(self.shares),
            "random_walk_shares": _nulled(self.random_walk_shares),
            "joined": self.joined,
        }

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> "Trajectory":
        """Read what `to_entry` gave.

        Raises:
            ValueError: It is something else.
        """
        check_record(entry, TrajectoryEntry)
        numbers = ("alphas", "betas", "distance", "shares", "random_walk_shares")
        return cls(
            name=entry["name"],
            labels=tuple(entry["labels"]),
            joined=entry["joined"],
            **{name: np.array(entry[name], dtype=float) for name in numbers},
        )


def _nulled(values: Float[np.ndarray, " numbers"]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
