"""The regression estimator: few images at every point, many at few, and means over all of them everywhere."""

from gradscape.landscape.estimator.allocation import allocate
from gradscape.landscape.estimator.levels import Levels, grid_levels
from gradscape.landscape.estimator.moments import JointMoments, joint_moments
from gradscape.landscape.estimator.regression import Observed, level_variances, regress
from gradscape.landscape.estimator.sample import Round, Sample, blocks_seen, seen_by_level

__all__ = [
    "JointMoments",
    "Levels",
    "Observed",
    "Round",
    "Sample",
    "allocate",
    "blocks_seen",
    "grid_levels",
    "joint_moments",
    "level_variances",
    "regress",
    "seen_by_level",
]
