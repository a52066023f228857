import numpy as np

from gradscape.explain.embedding_distances import Distances, equal_rows


def test_distances_are_those_of_a_loop_and_the_same_for_equal_points() -> None:
    values = np.random.default_rng(0).normal(size=(41, 7)).astype(np.float32) + 5
    values[[3, 20, 33]] = values[11]
    rows = np.array([0, 11, 20, 40])
    found = Distances(values).squared_from(rows)
    looped = [[float(np.square(values[i].astype(float) - values[j]).sum()) for j in range(41)] for i in rows]
    np.testing.assert_allclose(found, looped, rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(found[:, 11], found[:, 33])
    assert found[1, 20] == found[2, 3] == 0


def test_a_crowd_beside_an_outlier_keeps_its_distances() -> None:
    values = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32) / 1000
    crowd = Distances(values).sorted_from(np.arange(29))[:, :5]
    values[29] = 1e6
    np.testing.assert_array_equal(
        Distances(values).sorted_from(np.arange(29))[:, :5][crowd[:, :5] != 29], crowd[crowd != 29]
    )


def test_equal_rows_have_one_number_also_where_zeros_differ_in_sign() -> None:
    assert equal_rows(np.array([[1, 0], [2, 0], [1, -0.0], [2, 1], [2, 0]])).tolist() == [0, 1, 0, 2, 1]
