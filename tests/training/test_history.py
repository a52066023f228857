from pathlib import Path

import numpy as np
import pytest

from gradscape.training import load_metrics
from gradscape.training.history import EpochRows, save_metrics


@pytest.mark.parametrize("first", [0, 1])
def test_epochs_are_counted_from_one_whatever_the_file_counts_from(tmp_path: Path, first: int) -> None:
    lines = [f"{epoch},{0.5 * epoch}" for epoch in range(first, first + 3)]
    path = tmp_path / "metrics.csv"
    path.write_text("\n".join(["epoch,train_loss", *lines]))
    columns = load_metrics(path)
    assert columns["epoch"].tolist() == [1, 2, 3]
    assert columns["train_loss"].tolist() == [0.5 * epoch for epoch in range(first, first + 3)]


def test_a_table_without_a_row_or_without_epochs_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,train_loss\n")
    with pytest.raises(ValueError, match="must be a csv of numbers below a row of names"):
        load_metrics(path)
    path.write_text("train_loss\n0\n")
    assert load_metrics(path)["train_loss"].tolist() == [0]


def test_a_column_that_only_later_epochs_have_is_nan_before(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    rows: EpochRows = [{"epoch": 1, "seconds": 2.0}, {"epoch": 2, "test_top5_accuracy": 0.75, "seconds": 3.0}]
    save_metrics(path, rows)
    assert path.read_text() == "epoch,test_top5_accuracy,seconds\n1,nan,2.0\n2,0.75,3.0\n"
    np.testing.assert_array_equal(load_metrics(path)["test_top5_accuracy"], [np.nan, 0.75])
