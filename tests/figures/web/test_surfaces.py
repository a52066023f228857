import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.figures import WebPage, interactive_animation, interactive_surface
from gradscape.landscape import Field
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, with_gaps
from tests.figures.trajectories import make_path, make_points


def decoded(page: str) -> dict[str, Any]:
    """What the page's script draws, as the browser's JSON parser reads it."""
    start = page.index(">", page.index('<script id="data"')) + 1
    content, _ = json.JSONDecoder().raw_decode(page[start:])
    return dict(content["landscapes"])


def heights(page: str, view: str, panel: int = 0) -> np.ndarray:
    """What is drawn in a view; NaN where there is a gap."""
    return np.array(decoded(page)["panels"][panel]["heights"][view], dtype=float)


def test_heights_have_a_row_for_each_beta() -> None:
    page = interactive_surface(make_surface())
    np.testing.assert_allclose(heights(page, "loss raw"), bowl(), rtol=1e-4)
    (panel,) = decoded(page)["panels"]
    np.testing.assert_allclose(panel["alphas"], ALPHAS, rtol=1e-3)
    np.testing.assert_allclose(panel["betas"], BETAS)


def test_what_is_read_when_hovering_has_a_row_for_each_alpha() -> None:
    (panel,) = decoded(interactive_surface(make_surface(error=bowl_error())))["panels"]
    read = np.array(panel["read"])
    assert read.shape == (7, 5, 3)
    np.testing.assert_allclose(read[..., 0].T, bowl(), rtol=1e-3)
    np.testing.assert_allclose(read[..., 1].T, 0.02 * bowl(), rtol=1e-3)
    np.testing.assert_allclose(read[..., 2].T, 100 * bowl_error(), rtol=1e-3)
    assert panel["columns"] == ["loss", "standard error of loss", "error (%)"]
    assert "± %{customdata[1]" in panel["template"]


def test_gaps_stay_gaps_in_every_view() -> None:
    page = interactive_surface(make_surface(with_gaps(bowl())))
    for view in ("loss raw", "loss minmax", "loss log"):
        assert np.argwhere(np.isnan(heights(page, view))).tolist() == [[0, 1], [3, 6]]
    assert np.isfinite(heights(page, "error raw")).all()


def test_views_change_heights_range_and_labels() -> None:
    page = interactive_surface(make_surface(error=bowl_error()))
    views = decoded(page)["views"]
    assert set(views) == {f"{value} {scale}" for value in ("loss", "error") for scale in ("raw", "minmax", "log")}
    assert decoded(page)["values"] == [["loss", "loss"], ["error", "error"]]
    scaled = (bowl() - bowl().min()) / (bowl().max() - bowl().min())
    np.testing.assert_allclose(heights(page, "loss minmax"), scaled, rtol=1e-4)
    np.testing.assert_allclose(heights(page, "loss log"), np.log10(bowl()), rtol=1e-4)
    np.testing.assert_allclose(heights(page, "error raw"), 100 * bowl_error(), rtol=1e-4)
    look = views["loss log"]
    assert [look["low"], look["high"]] == pytest.approx([np.log10(0.25), np.log10(bowl().max())])
    for height, text in zip(look["ticks"], look["texts"], strict=True):
        assert float(text) == pytest.approx(10**height)
    assert views["error raw"]["label"] == "top-1 error (%)"


@pytest.mark.parametrize(("steepness", "start"), [(1.0, "raw"), (100.0, "log")])
def test_the_page_begins_on_a_log_scale_where_the_loss_exceeds_two_decades(steepness: float, start: str) -> None:
    assert decoded(interactive_surface(make_surface(bowl(steepness))))["start"]["loss"] == start


def test_error_begins_as_measured_beside_a_loss_on_a_log_scale() -> None:
    for value, first in ((None, "loss"), ("error", "error")):
        content = decoded(interactive_surface(make_surface(bowl(100.0), bowl_error()), value=value))
        assert content["start"] == {"loss": "log", "error": "raw"}
        assert content["values"][0] == [first, first]


def test_a_loss_of_zero_keeps_the_scale_it_was_measured_on() -> None:
    assert decoded(interactive_surface(make_surface(bowl(100.0) - 0.25)))["start"]["loss"] == "raw"


def test_several_surfaces_share_their_range() -> None:
    content = decoded(interactive_surface([make_surface(bowl(1)), make_surface(bowl(4))], titles=["one", "two"]))
    assert [(panel["title"], panel["first"]) for panel in content["panels"]] == [("one", True), ("two", True)]
    look = content["views"]["loss raw"]
    assert [look["low"], look["high"]] == pytest.approx([0.25, bowl(4).max()])


def test_a_field_is_the_only_value_of_its_page() -> None:
    field = Field(name="sharpness", alphas=ALPHAS, betas=BETAS, values=bowl(), label="sharpness of <b>", short="<b>")
    page = interactive_surface(field)
    assert decoded(page)["values"] == [["sharpness", "<b>"]]
    assert "&lt;b&gt; %{customdata[0]:" in decoded(page)["panels"][0]["template"]  # which plotly reads as <b>
    assert 'value="sharpness" checked' in page
    assert "<b>" not in page


def test_names_are_shown_and_never_run() -> None:
    evil = "</script><script>alert(1)</script><b>x"
    page = interactive_surface([make_surface(model=evil, data="<i>", loss="a<br>")] * 2, titles=[evil, evil])
    assert "alert(1)</script>" not in page
    assert "<b>x" not in page
    assert page.count(html.escape(evil)) >= 3  # title, heading, and each figure
    assert decoded(page)["views"]["loss raw"]["label"] == "loss (a<br>)"
    assert page.count("</script>") == page.count("<script")


def test_the_page_needs_no_network() -> None:
    page = interactive_surface(make_surface())
    assert len(page) > 3e6
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=(?!.data:)", page)
    assert "default-src 'none'" in page


def test_a_page_saves_itself_and_shows_itself_in_a_frame_of_a_notebook(tmp_path: Path) -> None:
    page = interactive_surface(make_surface(model="a <net>"))
    page.save(tmp_path / "new" / "page.html")
    assert (tmp_path / "new" / "page.html").read_text(encoding="utf-8") == page
    shown = page._repr_html_()
    assert shown.startswith("<iframe srcdoc=")
    assert html.unescape(shown.split('"')[1]) == page
    assert 'sandbox="allow-scripts allow-downloads"' in shown
    assert len(repr(page)) < 100
    assert "a <net>" in repr(page)
    assert isinstance(page, WebPage)


def test_unreliable_standard_errors_are_marked() -> None:
    surface = make_surface()
    surface.blocks.m2[0, 2, 5] = 400 * surface.loss[2, 5] ** 2 * 200
    (panel,) = decoded(interactive_surface(surface))["panels"]
    marks = {(x, y): text for x, row in enumerate(panel["unsure"]) for y, text in enumerate(row) if text}
    assert marks == {(5, 2): " (unreliable)"}
    assert "%{text}" in panel["template"]


def test_without_a_metric_there_is_no_switch_for_errors() -> None:
    page = interactive_surface(make_surface(error=np.full((5, 7), np.nan)))
    assert set(decoded(page)["views"]) == {"loss raw", "loss minmax", "loss log"}
    assert 'value="error"' not in page
    assert "error %" not in decoded(page)["panels"][0]["template"]


def test_large_grids_are_thinned_around_the_origin_and_say_so() -> None:
    alphas, betas = np.linspace(-1, 1, 301), np.linspace(-1, 1, 201)
    x, y = np.meshgrid(alphas, betas)
    page = interactive_surface(make_surface(1 + x**2 + 2 * y**2, alphas=alphas, betas=betas))
    assert len(page) < 6e6
    assert heights(page, "loss raw").min() == 1
    assert 0 in decoded(page)["panels"][0]["alphas"]
    assert "one row and column in 3 drawn" in page


def test_a_single_beta_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`surfaces` must have at least 2 alphas and 2 betas each, got 7 and 1"):
        interactive_surface(make_surface(bowl()[:1], betas=BETAS[:1]))


def test_networks_lie_in_the_plane_and_on_every_relief() -> None:
    path, points = make_path(), make_points()
    surface = make_surface(
        error=bowl_error(), trajectories=[path.to_entry(), points.to_entry()], axes=["PC 1 (70 %)", "<b>"]
    )
    (panel,) = decoded(interactive_surface(surface))["panels"]
    assert panel["axes"] == ["PC 1 (70 %)", "&lt;b&gt;"]
    first, second = panel["paths"]
    assert (first["joined"], second["joined"]) == (True, False)
    assert second["line"] is None
    np.testing.assert_allclose(first["points"]["alphas"], path.alphas)
    np.testing.assert_allclose(first["points"]["betas"], path.betas)
    assert first["points"]["names"] == ["epoch 0", "1", "2", "sgd, epoch 3"]
    assert first["points"]["texts"][1] == "sgd, epoch 1: 2 off the plane"
    assert second["points"]["names"] == ["first", "second", "third"]
    assert first["points"]["heights"]["loss raw"][3] == pytest.approx(0.25)
    assert first["points"]["heights"]["loss log"][3] == pytest.approx(np.log10(0.25), rel=1e-4)
    assert first["points"]["heights"]["error raw"][3] == pytest.approx(10)
    assert len(first["line"]["alphas"]) == len(first["line"]["heights"]["loss raw"]) > 50
    sizes = first["points"]["sizes"]
    assert max(sizes) == sizes[1]


def test_networks_beside_the_grid_are_on_no_relief() -> None:
    entry = {**make_path().to_entry(), "alphas": [-3.0, -0.4, 0.3, 0.0]}
    (panel,) = decoded(interactive_surface(make_surface(trajectories=[entry])))["panels"]
    heights = panel["paths"][0]["points"]["heights"]["loss raw"]
    assert [height is None for height in heights] == [True, False, False, False]
    assert "1 of 4 outside of the grid" in decoded(interactive_surface(make_surface(trajectories=[entry])))["caption"]


def test_without_networks_axes_are_called_as_before() -> None:
    (panel,) = decoded(interactive_surface(make_surface()))["panels"]
    assert (panel["axes"], panel["paths"]) == (["alpha", "beta"], [])


def test_a_page_with_a_slider_has_all_frames_and_shows_one() -> None:
    frames = [make_surface(bowl(steepness)) for steepness in (1.0, 4.0)]
    page = interactive_animation(frames, titles=["epoch <0>", "epoch 1"], title="a run")
    content = decoded(page)
    assert content["moving"] is True
    assert [panel["title"] for panel in content["panels"]] == ["epoch <0>", "epoch 1"]
    look = content["views"]["loss raw"]
    assert [look["low"], look["high"]] == pytest.approx([0.25, bowl(4).max()])
    assert page.count('<figure class="panel" data-surface="') == 1
    assert 'max="1"' in page
    assert "epoch <0>" not in page.split('<script id="data"')[0]
