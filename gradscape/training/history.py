"""metrics.csv: one row an epoch, counted from 1."""

import csv
import math
import os
from pathlib import Path

import numpy as np

from gradscape._files import replacing_text
from gradscape._names import error_line
from gradscape._text_files import read_table

__all__ = ["EpochRow", "EpochRows", "column_names", "load_metrics", "save_metrics"]

_EPOCH = "epoch"

EpochRow = dict[str, int | float]
EpochRows = list[EpochRow]


def save_metrics(path: str | os.PathLike[str], rows: EpochRows) -> None:
    """Write one line an epoch, all at once; floats keep every digit.

    Args:
        path: The csv file to create or replace.
        rows: Per epoch, a number for every column; one that an older version did not write yet is NaN there.
    """
    with replacing_text(path) as file:
        writer = csv.DictWriter(file, fieldnames=column_names(rows), restval=math.nan, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def column_names(rows: EpochRows) -> list[str]:
    """Columns of a table of epochs, in the order of the row that has most."""
    longest: EpochRow = max(rows, key=len)
    return list(longest)


def load_metrics(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read metrics.csv or summary.csv.

    Epochs are counted from 1; those of older files, which counted from 0, are moved by one.

    Args:
        path: A file that training wrote.

    Returns:
        Column name -> float64 array, one number an epoch.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not a table of numbers.
    """
    path = Path(path)
    try:
        names, rows = read_table(path)
        if not rows:
            raise ValueError("it has no row of numbers")
        numbers = np.array([[float(cell) for cell in row] for row in rows]).reshape(len(rows), len(names))
    except ValueError as error:
        reason = error_line(error).removeprefix(f"{path} ")
        raise ValueError(
            f"`path` must be a csv of numbers below a row of names, got {path} ({reason}); train again"
        ) from error
    columns = {name: numbers[:, column] for column, name in enumerate(names)}
    if _EPOCH in columns and columns[_EPOCH][:1].tolist() == [0]:
        columns[_EPOCH] = columns[_EPOCH] + 1
    return columns
