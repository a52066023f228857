import csv
from pathlib import Path

import numpy as np
import pytest

from gradscape.landscape import Topology
from tests.cli.conftest import Command
from tests.figures.results import make_line
from tests.landscape.noisy_surfaces import NOISES, drawn_surface
from tests.landscape.topology.surfaces import himmelblau, surface_of_function


@pytest.fixture
def surfaces(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name / "surface.h5" for name in ("valleys", "bowl")]
    for path, surface in zip(
        paths,
        (surface_of_function(himmelblau, -5.5, 5.5, 31), drawn_surface("bowl", NOISES["loud"], blocks=16, seed=4)),
        strict=True,
    ):
        path.parent.mkdir()
        surface.save(path)
    return paths


def test_one_surface_is_told_drawn_and_kept(gradscape: Command, surfaces: list[Path], tmp_path: Path) -> None:
    done = gradscape("topology", surfaces[0], "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert done.out.split("\n")[1].split() == ["function", "4", "4", "1", "0", "±0"]
    found = Topology.load(tmp_path / "out" / "topology.npz")
    assert len(found.minima) == 4
    with (tmp_path / "out" / "topology.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(row["death"]) for row in rows], found.death)
    for ending in ("pdf", "png", "txt"):
        assert (tmp_path / "out" / f"topology.{ending}").stat().st_size > 0


@pytest.mark.slow
def test_several_lie_in_folders_of_their_names(gradscape: Command, surfaces: list[Path], tmp_path: Path) -> None:
    done = gradscape("topology", *surfaces, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("function", "model"),
        *(f"topology.{ending}" for ending in ("pdf", "png", "txt")),
    }
    again = gradscape("topology", surfaces[1], "--confidence", 0.5, "-q", "-o", tmp_path / "again")
    assert (again.code, again.out, again.err) == (0, "", "")
    bands = [Topology.load(tmp_path / name / "topology.npz").band for name in ("out/model", "again")]
    assert bands[0] > bands[1] > 0


def test_mistakes_are_one_line(gradscape: Command, surfaces: list[Path], tmp_path: Path) -> None:
    make_line(np.ones(3), np.ones(3) / 2, np.arange(3.0)).save(tmp_path / "line.h5")
    for arguments, said in (
        ((tmp_path / "line.h5",), "holds a line"),
        ((tmp_path / "none.h5",), "none.h5"),
        ((surfaces[0], "--confidence", 2), "--confidence"),
    ):
        done = gradscape("topology", *arguments, "-o", tmp_path / "out")
        assert done.code == 2
        assert said in done.err
    assert not (tmp_path / "out").exists()
