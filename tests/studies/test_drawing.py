"""Which pictures a landscape has: those that people use, or every one."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from gradscape.landscape import Surface
from gradscape.studies import drawing
from gradscape.studies.subjects import recommend
from tests.figures.results import bowl, bowl_error, make_surface

KINDS = ("contour", "filled", "heat", "surface", "scaled")


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Stem -> caption of every figure that would have been saved."""
    found: dict[str, str] = {}

    def save(figure: Figure, stem: Path) -> list[Path]:
        found[stem.name] = " ".join(figure.get_supxlabel().split())
        return [stem.with_suffix(ending) for ending in (".pdf", ".png")]

    monkeypatch.setattr(drawing, "save_figure", save)
    return found


def wide() -> Surface:
    return make_surface(bowl() ** 4, bowl_error())


def test_a_landscape_has_a_page_a_contour_map_a_relief_and_a_table(tmp_path: Path, captions: dict[str, str]) -> None:
    written = [path.name for path in drawing.draw_surface(wide(), tmp_path)]
    pictures = [f"loss_{kind}.{ending}" for kind in ("contour", "surface") for ending in ("pdf", "png")]
    assert written == [*pictures, "surface.html", "surface.csv"]
    assert all("log scale" in caption for caption in captions.values())


def test_every_picture_of_a_landscape_is_another_one(tmp_path: Path, captions: dict[str, str]) -> None:
    written = drawing.draw_surface(wide(), tmp_path, everything=True)
    stems = {*(f"{value}_{kind}" for value in ("loss", "error") for kind in KINDS), "loss_log"}
    pictures = {f"{stem}.{ending}" for stem in stems for ending in ("pdf", "png")}
    assert {path.name for path in written} == pictures | {"surface.html", "surface.csv"}
    # With surface.h5 these are 25 files. Of filled contours there are two, which must not be one picture.
    assert len(written) == 24
    assert "log scale" in captions["loss_log"]
    assert "log scale" not in captions["loss_filled"]


def test_networks_side_by_side_have_a_page_a_contour_map_and_a_relief(tmp_path: Path, captions: dict[str, str]) -> None:
    surfaces = {"a": wide(), "b": make_surface()}
    written = [path.name for path in drawing.draw_comparison(surfaces, tmp_path)]
    pictures = [f"loss_{kind}.{ending}" for kind in ("contour", "surface") for ending in ("pdf", "png")]
    assert written == [*pictures, "surface.html"]
    drawing.draw_comparison(surfaces, tmp_path, everything=True)
    scaled = {f"{value}_{kind}" for value in ("loss", "error") for kind in ("filled", "surface")}
    assert captions.keys() == {"loss_contour", "loss_filled_minmax", "loss_surface_minmax", *scaled}


def test_the_page_and_the_relief_of_all_are_recommended(tmp_path: Path) -> None:
    own = [tmp_path / name / f"loss_surface.{ending}" for name in "ab" for ending in ("pdf", "png")]
    shared = [tmp_path / f"loss_{kind}.{ending}" for kind in ("contour", "surface") for ending in ("pdf", "png")]
    said = recommend([*own, *shared, tmp_path / "surface.html"], tmp_path)
    assert said == f"recommended: {tmp_path / 'surface.html'} to look around, {shared[2]} for a paper"


def test_lines_take_no_scale_by_themselves(tmp_path: Path, captions: dict[str, str]) -> None:
    from tests.figures.results import make_line

    line = make_line(np.geomspace(0.01, 10, 5), np.full(5, 0.1), np.linspace(-1, 1, 5))
    drawing.draw_one([line], [tmp_path / "line.h5"], tmp_path / "line", kind="filled", value="loss", scale="auto")
    assert list(captions) == ["line"]


def test_more_networks_than_colors_tell_apart_have_a_page_each_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(drawing, "draw_training", lambda _runs, folder, **_: [folder / "curves.pdf"])
    many: dict[str, list[dict[str, np.ndarray]]] = {f"net{number}": [] for number in range(drawing.MOST_NETWORKS + 1)}
    assert drawing.draw_trainings(many, tmp_path) == [tmp_path / title / "curves.pdf" for title in many]
    assert f"the curves of {len(many)} networks are not drawn together: at most {len(many) - 1} are" in caplog.text
