from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscape.landscape.engine.schedule import coarse_to_fine, doubling_rounds


@given(st.lists(st.integers(1, 60), min_size=1, max_size=2))
def test_every_point_comes_once_and_the_first_level_spans_the_grid(shape: list[int]) -> None:
    levels = coarse_to_fine(shape)
    points = [point for level in levels for point in level]
    assert sorted(points) == list(range(int(np.prod(shape))))
    for axis, length in zip(np.unravel_index(levels[0], shape), shape, strict=True):
        assert (axis.min(), axis.max(), len(set(axis.tolist()))) == (0, length - 1, min(length, 11))


def test_the_first_level_of_51_by_51_is_every_fifth_point() -> None:
    rows, columns = np.unravel_index(coarse_to_fine([51, 51])[0], (51, 51))
    assert sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == list(range(0, 51, 5))


@pytest.mark.parametrize(("block", "batch", "most"), [(32, 32, 4096), (32, 256, 4096), (16, 16, 100), (7, 7, 7)])
def test_rounds_are_a_block_and_then_whole_batches_that_about_double(block: int, batch: int, most: int) -> None:
    sizes = list(islice(doubling_rounds(block, batch, most), 12))
    assert sizes[0] == block
    assert all(size % batch == 0 and 0 < size <= max(most, batch) for size in sizes[1:])
    totals = np.cumsum(sizes).tolist()
    for (before, after), size in zip(pairwise(totals), sizes[1:], strict=True):
        assert after <= max(2 * before, before + batch)
        assert after > 1.5 * before or size > most - batch or after == before + batch
