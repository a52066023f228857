"""Distances of many points, row by row, so that memory grows linearly with the points."""

from typing import final

import numpy as np
from jaxtyping import Float, Int64

__all__ = ["BLOCK", "Distances", "equal_rows"]

BLOCK = 512  # points whose distances to all others are in memory at once


@final
class Distances:
    """Points, centered in double precision, so that their products tell even small distances, also beside outliers."""

    def __init__(self, values: Float[np.ndarray, "images features"]) -> None:
        self.values = values.astype(np.float64)
        self.values -= np.median(self.values, axis=0)
        self.squares = np.square(self.values).sum(axis=1)
        self.equal = equal_rows(values)
        _, self._first = np.unique(self.equal, return_index=True)

    def squared_from(self, rows: Int64[np.ndarray, " rows"]) -> Float[np.ndarray, "rows others"]:
        """For each row its squared distances to all points: the same to the bit for equal points, and 0 to its own."""
        products = self.values[rows] @ self.values[self._first].T
        found = np.maximum(self.squares[self._first] + self.squares[rows, None] - 2 * products, 0)
        found[np.arange(len(rows)), self.equal[rows]] = 0
        return found if len(self._first) == len(self.values) else found[:, self.equal]

    def sorted_from(self, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, "rows others"]:
        """For each row all other points, the nearest first."""
        # The row's own square changes no order.
        distances = self.squares - 2 * self.values[rows] @ self.values.T
        distances[np.arange(len(rows)), rows] = -np.inf
        return np.argsort(distances, axis=1, kind="stable")[:, 1:]


def equal_rows(values: Float[np.ndarray, "images features"]) -> Int64[np.ndarray, " images"]:
    """Number the different rows: two have the same number where they are equal to the bit."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in values + 0.0], np.int64)  # -0 is 0
