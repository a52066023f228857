"""How losses of a point and of those around it vary together within blocks of images."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

__all__ = ["JointMoments", "joint_moments"]


@final
@dataclass(frozen=True, eq=False)
class JointMoments:
    """Sums over the images of a block of products of deviations from the block's means.

    Attributes:
        own: Of a point with each of its parents, (blocks, points, corners).
        among: Of its parents with each other, (blocks, points, corners, corners).
    """

    own: Float[np.ndarray, "blocks points corners"]
    among: Float[np.ndarray, "blocks points corners corners"]

    def first(self, blocks: int) -> "JointMoments":
        """Those of the first blocks."""
        return JointMoments(self.own[:blocks], self.among[:blocks])


def joint_moments(
    own: Float[np.ndarray, " images"], parents: Float[np.ndarray, "corners images"]
) -> tuple[Float[np.ndarray, " corners"], Float[np.ndarray, "corners corners"]]:
    """Of one point and one block, from values image by image.

    Args:
        own: Values of the point.
        parents: Those of its parents on the same images.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        point = own.astype(float) - own.mean(dtype=float)
        around = parents.astype(float) - parents.mean(axis=1, keepdims=True, dtype=float)
        return around @ point, around @ around.T
