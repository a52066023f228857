from pathlib import Path

import numpy as np
import pytest

from gradscape._arrays import load_arrays
from gradscape.figures import Look, drawn_as
from gradscape.models import count_parameters, load_checkpoint
from gradscape.models.printed import CELLS
from gradscape.studies.papers.catalog import make_figure
from gradscape.studies.papers.published import PUBLISHED, published_table
from tests.studies.networks import save_network


@pytest.mark.parametrize("table", ["4", "5"])
def test_published_values_are_those_that_sizes_are_checked_against(table: str) -> None:
    printed = {
        (cell.row, cell.quantity): cell.number for cell in CELLS if (cell.paper, cell.table) == ("UPANets", table)
    }
    rows = published_table("upanets", table)
    assert printed == {
        (row.row, quantity): f"{value:.2f}"
        for row in rows
        for quantity, value in (("accuracy", row.accuracy), ("parameters", row.size), ("efficiency", row.efficiency))
    }
    assert len(rows) == 19


def test_printed_efficiency_is_accuracy_over_size_as_far_as_it_is_rounded() -> None:
    for row in (*published_table("upanets", "4"), *published_table("upanets", "5")):
        assert row.accuracy
        assert row.size
        assert row.efficiency is not None
        low, high = row.accuracy / (row.size + 0.005), row.accuracy / (row.size - 0.005)
        tolerance = 0.02 * row.efficiency  # UPANets' sizes are of the network without the shortcut of its attention
        assert low - tolerance <= row.efficiency <= high + tolerance, row


def test_every_published_row_has_a_number_and_a_known_paper() -> None:
    papers = {"upanets", "spanet", "ulsam", "residual_attention", "ba2m"}
    for row in PUBLISHED:
        assert row.paper in papers
        assert any(value is not None for value in (row.accuracy, row.size, row.efficiency, row.error, row.seconds))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "table"), [("upanets:10", "4"), ("upanets:11", "5")])
def test_a_bubble_plot_needs_nothing_and_shows_the_table(name: str, table: str, tmp_path: Path) -> None:
    written = make_figure(name, [], tmp_path)
    assert [path.suffix for path in written] == [".pdf", ".png", ".txt", ".npz"]
    arrays, meta = load_arrays(written[-1])
    rows = published_table("upanets", table)
    assert arrays["network"].tolist() == [row.row for row in rows]
    for key in ("accuracy", "size", "efficiency"):
        np.testing.assert_array_equal(arrays[key], [getattr(row, key) for row in rows])
    assert not arrays["own"].any()
    assert meta["caption"].startswith(f"UPANets, table {table}: CIFAR-10")
    assert "200 epochs" in meta["caption"]


@pytest.mark.slow
def test_notes_against_rows_are_told(tmp_path: Path) -> None:
    make_figure("upanets:11", [], tmp_path)
    assert "UPANets16: the plot shows about 75.6 %" in load_arrays(tmp_path / "upanets_11.npz")[1]["caption"]


def test_own_networks_are_laid_over_with_accuracy_over_parameters(tmp_path: Path) -> None:
    path = save_network(tmp_path, "upanet16", data={"name": "digits", "images": 1200}, scores={"test_accuracy": 0.875})
    with drawn_as(Look(format=("svg",))):
        make_figure("upanets:10", [path], tmp_path)
    assert "own (digits)" in (tmp_path / "upanets_10.svg").read_text()
    arrays, meta = load_arrays(tmp_path / "upanets_10.npz")
    size = count_parameters(load_checkpoint(path)) / 1e6
    assert arrays["network"][-1] == "upanet16"
    assert arrays["own"].tolist() == [False] * 19 + [True]
    np.testing.assert_allclose(
        [arrays[key][-1] for key in ("accuracy", "size", "efficiency")], [87.5, size, 87.5 / size]
    )
    assert "own: trained on 1,200 images of digits" in meta["caption"]
    assert meta["laid over"] == ["upanet16"]


def test_a_network_whose_accuracy_is_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="upanet16 must have a test accuracy in its checkpoint, to be laid over"):
        make_figure("upanets:10", [save_network(tmp_path, "upanet16")], tmp_path)


def test_a_missing_network_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    expected = (
        r"no run folder or checkpoint .*none; make one with `gradscape train upanet16 --data cifar100 -o runs/upanet16`"
    )
    with pytest.raises(FileNotFoundError, match=expected):
        make_figure("upanets:11", [tmp_path / "none"], tmp_path)
    with pytest.raises(ValueError, match="`--images` and `--limit` say nothing to upanets:11, drawn from a published"):
        make_figure("upanets:11", [], tmp_path, images=[tmp_path], limit=3)
