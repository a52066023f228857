import numpy as np
import pytest

from gradscape.figures.images.slices import chosen_slices


def test_the_slice_where_all_maps_together_are_strongest_is_chosen() -> None:
    first, second = np.zeros((2, 3, 5, 4, 4), np.float32)
    first[0, 1], second[0, 4], second[0, 2] = 0.3, 0.5, 0.1
    second[1, 3] = 0.2
    first[2, 0] = np.nan
    assert chosen_slices([first, second]) == [4, 3, 2]


def test_slices_are_taken_as_asked() -> None:
    maps = [np.zeros((2, 5, 4, 4), np.float32)]
    assert chosen_slices(maps, 3) == [3, 3]
    assert chosen_slices(maps, [0, 4]) == [0, 4]
    for wrong in (5, -1, [1], [0, 5]):
        with pytest.raises(ValueError, match="`slices` must be one number from 0 to 4"):
            chosen_slices(maps, wrong)
