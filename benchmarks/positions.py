"""Where a point of a landscape is, and the state dict there."""

from collections.abc import Mapping

from torch import Tensor

Position = tuple[float, float]
Directions = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]


def moved_state(center: Mapping[str, Tensor], directions: Directions, position: Position) -> dict[str, Tensor]:
    """The state dict at θ + alpha·d_alpha + beta·d_beta."""
    state = dict(center)
    for direction, coordinate in zip(directions, position, strict=True):
        for name, change in direction.items():
            state[name] = state[name] + coordinate * change
    return state
