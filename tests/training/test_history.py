from pathlib import Path

import pytest

from gradscape.training import load_metrics


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
