from pathlib import Path

import numpy as np
import pytest

from gradscape.landscape import CurvatureMap
from tests.cli.conftest import Command

FEW = ("--data", "digits", "--limit", "16", "--device", "cpu")


KEPT = Path(__file__).parents[1] / "kept"


@pytest.mark.slow
def test_a_map_is_made_drawn_plotted_and_gone_on_with(
    gradscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(KEPT)  # where the network's own code lies
    file, folder = KEPT / "model.safetensors", tmp_path / "out"
    asked = ("curvature", file, *FEW, "--map", "-0.1:0.1:2,0:0.1:2", "--ignore", "biasbn", "-o", folder)
    done = gradscape(*asked, "--time", "0.001")
    assert done.code == 0, done.err
    assert "1 of 4 points" in done.out
    assert "the same command without --time goes on" in done.out
    begun = CurvatureMap.load(folder / "curvature.h5")
    assert int((begun.products > 0).sum()) == 1
    done = gradscape(*asked)
    assert done.code == 0, done.err
    assert "4 of 4 points" in done.out
    assert "cold starts at 3 points differ by at most" in done.out
    found = CurvatureMap.load(folder / "curvature.h5")
    assert (found.max_eig > found.min_eig).all()
    names = {path.name for path in folder.iterdir()}
    assert {"curvature_map.csv", "curvature_map.html", "curvature_ratio.png", "curvature_max_eig.pdf"} <= names
    done = gradscape("plot", folder / "curvature.h5", "--value", "min_eig", "--kind", "heat", "-o", tmp_path / "x.png")
    assert done.code == 0, done.err
    assert (tmp_path / "x.png").exists()
    done = gradscape("plot", folder / "curvature.h5", "--value", "loss", "-o", tmp_path / "y.png")
    assert done.code == 2
    assert "max_eig" in done.err
    done = gradscape("convert", folder / "curvature.h5", "--to", "npz")
    assert done.code == 2
    assert "is a map of the curvature" in done.err
    table = np.genfromtxt(folder / "curvature_map.csv", delimiter=",", names=True, dtype=None, encoding=None)
    assert table["max_eig"] == pytest.approx(found.max_eig.ravel())
    done = gradscape("report", folder, "-o", tmp_path / "report.html")
    assert done.code == 0, done.err
    page = (tmp_path / "report.html").read_text()
    for part in ('id="curvature-maps"', "largest eigenvalue of the Hessian", "--map -0.1:0.1:2,0:0.1:2"):
        assert part in page
