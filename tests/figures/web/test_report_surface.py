"""Surfaces for the report: numbers that JSON holds, on ranges that are shared."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from gradscape.figures.web.report_surface import plotly_script, surface_content, surface_picture
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, with_gaps


def test_views_hold_what_the_surface_holds_with_gaps_as_null() -> None:
    loss = with_gaps(bowl())
    content = surface_content([make_surface(loss, bowl_error())], titles=["net"])
    json.dumps(content, allow_nan=False)
    (panel,) = content["panels"]
    assert (panel["title"], panel["alphas"]) == ("net", pytest.approx(ALPHAS, abs=1e-3))
    assert panel["betas"] == pytest.approx(BETAS)
    heights = {name: np.array(values, dtype=float) for name, values in panel["heights"].items()}
    finite = np.where(np.isfinite(loss), loss, np.nan)
    np.testing.assert_allclose(heights["loss raw"], finite, rtol=1e-4)
    np.testing.assert_allclose(heights["loss log"], np.log10(finite), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(heights["error raw"], 100 * bowl_error(), rtol=1e-4)
    low, high = np.nanmin(finite), np.nanmax(finite)
    np.testing.assert_allclose(heights["loss minmax"], (finite - low) / (high - low), atol=1e-4)
    # Plotly reads these [alpha][beta].
    assert panel["read"][2][4][0] == pytest.approx(loss[4, 2], rel=1e-3)


def test_all_surfaces_share_a_range() -> None:
    content = surface_content([make_surface(bowl(1)), make_surface(bowl(5))], titles=["a", "b"])
    raw = content["views"]["loss raw"]
    assert (raw["low"], raw["high"]) == pytest.approx((0.25, bowl(5).max()))
    assert all(raw["low"] <= tick <= raw["high"] for tick in raw["ticks"])
    log = content["views"]["loss log"]
    assert 10 ** np.array(log["ticks"]) == pytest.approx([float(text) for text in log["texts"]])


def test_a_view_that_nobody_measured_is_left_out() -> None:
    content = surface_content([make_surface(error=np.full((5, 7), np.nan))], titles=["net"])
    assert [name for name in content["views"] if name.startswith("error")] == []
    assert "error" not in content["panels"][0]["template"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_the_printed_map_is_a_picture(count: int) -> None:
    names = ["a", "b"][:count]
    image = Image.open(io.BytesIO(surface_picture([make_surface()] * count, titles=names)))
    assert image.width > 500
    assert len(set(image.convert("RGB").get_flattened_data())) > 50


def test_plotly_comes_with_the_page() -> None:
    assert len(plotly_script()) > 1_000_000
    assert "</script" not in plotly_script().lower()
