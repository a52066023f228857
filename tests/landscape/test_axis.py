from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gradscape.landscape import (
    Field,
    Line,
    Surface,
    estimate_seconds,
    evaluate_line,
    evaluate_surface,
    random_directions,
)

DATA = [(torch.randn(40, 3), torch.arange(40) % 2)]
NET = nn.Linear(3, 2)
DIRECTIONS = random_directions(NET, seed=0)
RISING = [-1.0, 0.25, 0.5]

UNORDERED = [
    ([0.0, 1.0, 0.5], "1 is followed by 0.5"),
    ([1.0, 0.0, 0.5], "0 is followed by 0.5"),
    ([0.0, 1.0, 1.0], "1 is followed by 1"),
    ([2.0, 2.0], "2 is followed by 2"),
    ([0.0, float("nan")], "list of finite numbers"),
    ([], "list of finite numbers"),
]


@pytest.mark.parametrize(("axis", "message"), UNORDERED)
def test_axes_out_of_order_are_refused_wherever_they_are_given(axis: Sequence[float], message: str) -> None:
    for evaluate in (evaluate_surface, estimate_seconds):
        with pytest.raises(ValueError, match=f"`alphas` must .*{message}"):
            evaluate(NET, DATA, DIRECTIONS, axis, RISING)
        with pytest.raises(ValueError, match=f"`betas` must .*{message}"):
            evaluate(NET, DATA, DIRECTIONS, RISING, axis)
    with pytest.raises(ValueError, match=f"`alphas` must .*{message}"):
        evaluate_line(NET, DATA, DIRECTIONS[0], axis)


def test_results_out_of_order_are_refused() -> None:
    surface = evaluate_surface(NET, DATA, DIRECTIONS, RISING, RISING[:2])
    line = evaluate_line(NET, DATA, DIRECTIONS[0], RISING)
    turned = np.array([0.0, 1.0, -1.0])
    for result, argument, axis in (
        (surface, "alphas", turned),
        (surface, "betas", turned[:2] * 0),
        (line, "alphas", turned),
    ):
        assert isinstance(result, (Surface, Line))
        with pytest.raises(ValueError, match=f"`{argument}` must rise or fall throughout"):
            replace(result, **{argument: axis})  # type: ignore[arg-type]
    field = surface.field("loss")
    assert isinstance(field, Field)
    with pytest.raises(ValueError, match="`betas` must rise or fall throughout"):
        replace(field, betas=np.zeros(2))


def test_falling_axes_stay_as_they_are() -> None:
    rising = evaluate_surface(NET, DATA, DIRECTIONS, RISING, RISING[:2])
    falling = evaluate_surface(NET, DATA, DIRECTIONS, RISING[::-1], RISING[:2])
    np.testing.assert_array_equal(falling.alphas, RISING[::-1])
    np.testing.assert_array_equal(falling.loss, rising.loss[:, ::-1])
    assert evaluate_line(NET, DATA, DIRECTIONS[0], [0.5]).loss.shape == (1,)
