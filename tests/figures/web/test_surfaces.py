import base64
import json
import re
from typing import Any

import numpy as np
import pytest

from gradscape.figures import interactive_surface
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, with_gaps


def decoded(page: str) -> tuple[list[Any], dict[str, Any]]:
    """Traces and layout, as the browser's JSON parser reads them from the page's call of plotly."""
    start = (
        page.rindex('Plotly.newPlot("landscape"') if 'Plotly.newPlot("landscape"' in page else page.rindex("newPlot(")
    )
    text = page[page.index("[", start) :]
    reader = json.JSONDecoder()
    traces, end = reader.raw_decode(text)
    layout, _ = reader.raw_decode(text[end:].lstrip(", \n"))
    return traces, layout


def array(spec: dict[str, str]) -> np.ndarray:
    shape = [int(size) for size in str(spec["shape"]).split(",")] if "shape" in spec else -1
    return np.frombuffer(base64.b64decode(spec["bdata"]), np.dtype(spec["dtype"])).reshape(shape)


def heights(button: list[dict[str, Any]]) -> np.ndarray:
    """What a button draws for the first surface; NaN where there is a gap."""
    return np.array(button[0]["z"][0], dtype=float)


def buttons(page: str) -> dict[str, list[dict[str, Any]]]:
    return {button["label"]: button["args"] for button in decoded(page)[1]["updatemenus"][0]["buttons"]}


def test_heights_have_a_row_for_each_beta() -> None:
    ((trace,), _) = decoded(interactive_surface(make_surface()))
    np.testing.assert_allclose(np.array(trace["z"]), bowl(), rtol=1e-4)
    np.testing.assert_allclose(array(trace["x"]), ALPHAS)
    np.testing.assert_allclose(array(trace["y"]), BETAS)


def test_what_is_read_when_hovering_has_a_row_for_each_alpha() -> None:
    ((trace,), _) = decoded(interactive_surface(make_surface(error=bowl_error())))
    read = array(trace["customdata"])
    assert read.shape == (7, 5, 3)
    np.testing.assert_allclose(read[..., 0].T, bowl(), rtol=1e-6)
    np.testing.assert_allclose(read[..., 1].T, 0.02 * bowl(), rtol=1e-6)
    np.testing.assert_allclose(read[..., 2].T, 100 * bowl_error(), rtol=1e-5)
    assert "± %{customdata[1]" in trace["hovertemplate"]


def test_gaps_stay_gaps_in_every_view() -> None:
    views = buttons(interactive_surface(make_surface(with_gaps(bowl()))))
    for label in ("loss", "loss, min-max", "loss, log"):
        assert np.argwhere(np.isnan(heights(views[label]))).tolist() == [[0, 1], [3, 6]]
    assert np.isfinite(heights(views["error"])).all()


def test_buttons_change_heights_range_and_labels() -> None:
    views = buttons(interactive_surface(make_surface(error=bowl_error())))
    assert list(views) == ["loss", "loss, min-max", "loss, log", "error", "error, min-max", "error, log"]
    scaled = (bowl() - bowl().min()) / (bowl().max() - bowl().min())
    np.testing.assert_allclose(heights(views["loss, min-max"]), scaled, rtol=1e-4)
    np.testing.assert_allclose(heights(views["loss, log"]), np.log10(bowl()), rtol=1e-4)
    np.testing.assert_allclose(heights(views["error"]), 100 * bowl_error(), rtol=1e-4)
    look = views["loss, log"][1]
    low, high = np.log10(0.25), np.log10(bowl().max())
    assert [look["coloraxis.cmin"], look["coloraxis.cmax"]] == pytest.approx([low, high])
    assert look["scene.zaxis.range"] == pytest.approx([low - 0.02 * (high - low), high])
    for height, text in zip(look["scene.zaxis.tickvals"], look["scene.zaxis.ticktext"], strict=True):
        assert float(text) == pytest.approx(10**height)
    assert views["error"][1]["coloraxis.colorbar.title.text"] == "top-1 error (%)"


def test_several_surfaces_share_their_range() -> None:
    traces, layout = decoded(interactive_surface([make_surface(bowl(1)), make_surface(bowl(4))], titles=["one", "two"]))
    assert [trace["coloraxis"] for trace in traces] == ["coloraxis", "coloraxis"]
    assert {trace["scene"] for trace in traces} == {"scene", "scene2"}
    high = bowl(4).max()
    assert [layout["coloraxis"]["cmin"], layout["coloraxis"]["cmax"]] == pytest.approx([0.25, high])
    expected = pytest.approx([0.25 - 0.02 * (high - 0.25), high])
    assert layout["scene"]["zaxis"]["range"] == expected
    assert layout["scene2"]["zaxis"]["range"] == expected
    assert [note["text"] for note in layout["annotations"]] == ["one", "two"]


def test_names_are_shown_and_never_run() -> None:
    evil = "</script><script>alert(1)</script><b>x"
    page = interactive_surface(make_surface(model=evil, data="<i>", loss="a<br>"))
    assert "alert(1)</script>" not in page
    assert "<b>x" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;x" in page[page.index("<title>") :]
    _, layout = decoded(page)
    assert layout["annotations"][0]["text"] == "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;b&gt;x"
    assert layout["coloraxis"]["colorbar"]["title"]["text"] == "loss (a&lt;br&gt;)"
    assert page.count("</script>") == page.count("<script")


def test_the_page_needs_no_network() -> None:
    page = interactive_surface(make_surface())
    assert len(page) > 3e6
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=", page)


def test_unreliable_standard_errors_are_marked() -> None:
    surface = make_surface()
    surface.blocks.m2[0, 2, 5] = 400 * surface.loss[2, 5] ** 2 * 200
    ((trace,), _) = decoded(interactive_surface(surface))
    marks = {(x, y): text for x, row in enumerate(trace["text"]) for y, text in enumerate(row) if text}
    assert marks == {(5, 2): " (unreliable)"}
    assert "%{text}" in trace["hovertemplate"]


def test_without_a_metric_there_are_no_buttons_for_errors() -> None:
    page = interactive_surface(make_surface(error=np.full((5, 7), np.nan)))
    assert list(buttons(page)) == ["loss", "loss, min-max", "loss, log"]
    assert "error %" not in decoded(page)[0][0]["hovertemplate"]


def test_large_grids_are_thinned_around_the_origin_and_say_so() -> None:
    alphas, betas = np.linspace(-1, 1, 301), np.linspace(-1, 1, 201)
    x, y = np.meshgrid(alphas, betas)
    page = interactive_surface(make_surface(1 + x**2 + 2 * y**2, alphas=alphas, betas=betas))
    assert len(page) < 6e6
    ((trace,), _) = decoded(page)
    assert np.min(trace["z"]) == 1
    assert 0 in array(trace["x"])
    assert "one row and column in 3 drawn" in page


def test_a_single_beta_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`surfaces` must have at least 2 alphas and 2 betas each, got 7 and 1"):
        interactive_surface(make_surface(bowl()[:1], betas=BETAS[:1]))
