import numpy as np
import pytest
from gudhi import CubicalComplex  # type: ignore[import-not-found,import-untyped,unused-ignore]

from gradscape.landscape.topology.merge_tree import ascending, grow_merge_tree

SHAPES = ((7, 11), (12, 5), (1, 9), (2, 2))


def pairs_of_tree(values: np.ndarray) -> np.ndarray:
    tree, flat = grow_merge_tree(values), np.append(values.ravel(), np.inf)
    found = np.stack([flat[tree.minimum], flat[tree.saddle]], axis=1)
    return found[np.lexsort(found.T)]


def pairs_of_gudhi(values: np.ndarray) -> np.ndarray:
    complex_ = CubicalComplex(vertices=np.where(np.isfinite(values), values, np.inf))
    complex_.compute_persistence(min_persistence=-1)
    found = complex_.persistence_intervals_in_dimension(0)
    found = found[np.isfinite(found[:, 0]) & (found[:, 1] > found[:, 0])]
    return np.asarray(found[np.lexsort(found.T)])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(5))
def test_merge_tree_has_the_pairs_of_gudhi(shape: tuple[int, int], seed: int) -> None:
    values = np.random.default_rng(seed).permutation(float(np.prod(shape)) * np.ones(shape).cumsum()).reshape(shape)
    np.testing.assert_array_equal(pairs_of_tree(values), pairs_of_gudhi(values))


@pytest.mark.parametrize("seed", range(5))
def test_merge_tree_with_ties_and_holes_has_the_lasting_pairs_of_gudhi(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 6, (9, 13)).astype(float)
    values[generator.random(values.shape) < 0.2] = np.nan
    found = pairs_of_tree(values)
    np.testing.assert_array_equal(found[found[:, 1] > found[:, 0]], pairs_of_gudhi(values))


def test_a_basin_joins_the_lower_one_that_it_meets_first() -> None:
    tree = grow_merge_tree(np.array([[1.0, 5.0, 2.0, 4.0, 3.0, 9.0, 0.0]]))
    assert tree.minimum.tolist() == [6, 0, 2, 4]
    assert tree.saddle.tolist() == [-1, 5, 1, 3]
    assert tree.into.tolist() == [-1, 0, 1, 2]


def test_points_touching_at_a_corner_do_not_join() -> None:
    tree = grow_merge_tree(np.array([[0.0, 5, 5], [5, 0, 5], [5, 5, 5]]))
    assert (tree.saddle >= 0).tolist() == [False, True]


def test_equal_values_are_taken_in_the_order_of_the_grid() -> None:
    values = np.array([[1.0, 0.0, np.inf], [0.0, np.nan, -np.inf]])
    assert ascending(values).tolist() == [1, 3, 0]
    assert grow_merge_tree(values).minimum.tolist() == [1, 3]
