"""Hessians of networks on the same images, their files and tables."""

from pathlib import Path

import numpy as np
import pytest

from gradscape.data import load_split
from gradscape.landscape import Curvature
from gradscape.landscape.hessian.spectrum import Search
from gradscape.models import Classifier, load_checkpoint
from gradscape.studies import curvature as study
from tests.landscape.hessian.curvatures import made_up
from tests.studies.networks import save_network

WANTED = study.Wanted(search=Search(top=1, bottom=0), trace=True, parameters="linear*")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Classifier]:
    folder = tmp_path_factory.mktemp("networks")
    return {f"net{seed}": load_checkpoint(save_network(folder / str(seed), "resnet20", seed=seed)) for seed in (0, 1)}


@pytest.mark.slow
def test_each_network_has_its_file_and_the_same_call_takes_it_up(models: dict[str, Classifier], tmp_path: Path) -> None:
    split = load_split("digits", "test", image_size=16, limit=8)
    found = study.measure_curvatures(models, split, tmp_path, WANTED)
    for name, one in found.items():
        read = Curvature.load(tmp_path / name / study.CURVATURE)
        assert np.array_equal(read.spectrum.values, one.spectrum.values)
        assert (read.meta["title"], read.meta["population"], read.meta["parameters"]) == (
            name,
            split.population,
            "linear*",
        )
        assert read.trace is not None
        assert read.trace.inexact == ""
    again = study.measure_curvatures(models, split, tmp_path, WANTED)
    assert np.array_equal(again["net1"].spectrum.values, found["net1"].spectrum.values)
    written = study.draw_curvatures(found, tmp_path)
    names = {f"curvature.{ending}" for ending in ("npz", "csv", "pdf", "png", "txt")}
    assert {path.name for path in written} == names
    assert all(path.exists() for path in written)


def test_without_time_what_is_left_is_told(models: dict[str, Classifier], tmp_path: Path) -> None:
    split = load_split("digits", "test", image_size=16, limit=8)
    found = study.measure_curvatures({"net0": models["net0"]}, split, tmp_path, WANTED, until=0.0)
    assert found["net0"].trace is None
    (line,) = study.describe_unfinished(found, WANTED)
    assert line.startswith("net0: no time was left for the halves, the trace; the same command")


def test_the_table_tells_what_is_sure() -> None:
    rows = study.tabulate_curvatures({"net": made_up()})
    assert [row[1] for row in rows] == ["λ1", "λ2", "λ64 (lowest)", "trace"]
    assert [row[2] for row in rows[:3]] == ["9", "4", "≈-1"]
    assert [row[3] for row in rows[:3]] == ["10.5", "5.5", "0.5"]
    assert all(" to " in row[5] for row in rows)
    remarks = study.remarks_on({"net": made_up()})
    assert remarks[0].startswith("mean loss over 120 of 500 images")
    assert remarks[-1].startswith("net: 1 eigenvalue")
