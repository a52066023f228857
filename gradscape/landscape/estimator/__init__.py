"""The regression estimator: few images at every point, many at few, and means over all of them everywhere."""

from gradscape.landscape.estimator.allocation import allocate
from gradscape.landscape.estimator.levels import Levels, grid_levels
from gradscape.landscape.estimator.moments import JointMoments, joint_moments
from gradscape.landscape.estimator.regression import regress, residual_variances
from gradscape.landscape.estimator.sample import Round, Sample

__all__ = [
    "JointMoments",
    "Levels",
    "Round",
    "Sample",
    "allocate",
    "grid_levels",
    "joint_moments",
    "regress",
    "residual_variances",
]
