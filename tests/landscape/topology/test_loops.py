import sys
from itertools import product

import numpy as np
import pytest

from gradscape.landscape.topology.loops import find_loops


def rings_by_union_find(values: np.ndarray) -> list[tuple[float, float]]:
    """Alexander duality, plainly: components over eight neighbors of what lies above, the outside being one of them."""
    rows, columns = values.shape
    above: dict[tuple[int, int], tuple[int, int]] = {}
    outside = (-1, -1)
    top = {outside: np.inf}

    def root(place: tuple[int, int]) -> tuple[int, int]:
        while above.get(place, place) != place:
            place = above[place]
        return place

    found = []
    for row, column in sorted(np.ndindex(values.shape), key=lambda place: -values[place]):
        place = (row, column)
        top[place], above[place] = float(values[place]), place
        steps = [(row + down, column + right) for down, right in product((-1, 0, 1), repeat=2) if down or right]
        for other in steps:
            inside = 0 <= other[0] < rows and 0 <= other[1] < columns
            if inside and other not in above:
                continue
            pair = sorted({root(place), root(other if inside else outside)}, key=lambda one: top[one])
            if len(pair) == 2:
                if top[pair[0]] > values[place]:
                    found.append((float(values[place]), float(top[pair[0]])))
                above[pair[0]] = pair[1]
                above.setdefault(outside, outside)
    return sorted(found)


@pytest.mark.parametrize(("shape", "seed"), [((7, 11), 0), ((7, 11), 1), ((12, 5), 2), ((2, 9), 3)])
def test_loops_are_the_hills_over_eight_neighbors(shape: tuple[int, int], seed: int) -> None:
    values = np.random.default_rng(seed).permutation(np.arange(float(np.prod(shape)))).reshape(shape)
    flat = values.ravel()
    found = sorted((float(flat[begin]), float(flat[end])) for begin, end in find_loops(values))
    assert found == rings_by_union_find(values)


def test_grid_is_not_transposed() -> None:
    values = np.zeros((3, 6))
    values[1, 4] = 2.0
    assert find_loops(values)[:, 1].tolist() == [10]


def test_ring_around_points_that_are_not_finite_is_never_filled() -> None:
    for lost in (np.nan, np.inf, -np.inf):
        values = np.arange(20.0).reshape(4, 5)
        values[1, 2] = lost
        assert find_loops(values).tolist() == [[13, -1]]


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gudhi", None)
    with pytest.raises(ValueError, match=r"needs gudhi, .* pip install gradscape\[topology\]"):
        find_loops(np.zeros((2, 2)))
