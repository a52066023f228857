"""Trajectories in the plane of the surfaces of `results`, with another number of networks than alphas or betas."""

import numpy as np

from gradscape.landscape import Trajectory

__all__ = ["make_path", "make_points"]


def make_path(name: str = "sgd", *, distance: float = 2.0, walk: tuple[float, float] = (0.6, 0.15)) -> Trajectory:
    """Four networks on the way to the origin, the second of them farthest off the plane."""
    return Trajectory(
        alphas=np.array([-0.9, -0.4, 0.3, 0.0]),
        betas=np.array([0.4, -0.3, -0.1, 0.0]),
        distance=distance * np.array([0.5, 1.0, 0.25, 0.0]),
        labels=("epoch 0", "epoch 1", "epoch 2", "epoch 3"),
        name=name,
        shares=np.array([0.7, 0.2]),
        random_walk_shares=np.array(walk),
    )


def make_points() -> Trajectory:
    """Three networks by name, all in the plane."""
    unknown = np.full(2, np.nan)
    return Trajectory(
        alphas=np.array([0.0, 0.8, 0.2]),
        betas=np.array([0.0, 0.0, 0.4]),
        distance=np.zeros(3),
        labels=("first", "second", "third"),
        name="networks",
        joined=False,
        shares=unknown,
        random_walk_shares=unknown,
    )
