"""Which scale surfaces choose by themselves, alone and side by side, and what is said of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from gradscape.figures import (
    Look,
    drawn_as,
    figure_comparison,
    figure_landscape,
    figure_scaled,
    interactive_surface,
)
from gradscape.figures.surfaces.levels import end_ticks
from gradscape.figures.surfaces.shading import shade, shade_panels
from gradscape.landscape import Field
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface
from tests.figures.web.test_surfaces import decoded


def field(values: np.ndarray, **about: Any) -> Field:
    return Field(**{"name": "x", "label": "x", "alphas": ALPHAS, "betas": BETAS, "values": values, **about})


def spread(low: float, high: float) -> np.ndarray:
    """Evenly between two numbers, (5, 7)."""
    return np.linspace(low, high, 35).reshape(5, 7)


def caption(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def reliefs(figure: Figure) -> list[Axes3D]:
    return [ax for ax in figure.axes if isinstance(ax, Axes3D)]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (spread(0.02, 1.9), "raw"),
        (spread(0.02, 2.1), "log"),
        (spread(-0.02, 2.1), "raw"),
        (spread(0.0, 1.9), "raw"),
        (np.append(0.0, np.geomspace(0.001, 1.0, 34)).reshape(5, 7), "log"),
        (np.append(spread(1.0, 300.0).ravel()[:-1], np.nan).reshape(5, 7), "log"),
        (np.full((5, 7), np.nan), "raw"),
        (np.zeros((5, 7)), "raw"),
    ],
)
def test_more_than_two_decades_are_drawn_on_a_log_scale(values: np.ndarray, scale: str) -> None:
    assert shade([field(values)], "auto").scale == scale


@pytest.mark.parametrize(
    ("chosen", "scale"),
    [
        ({"zmin": 0.0}, "raw"),
        ({"zmin": -1.0, "zmax": 50.0}, "raw"),
        ({"zmin": 1.0, "zmax": 8.0}, "raw"),
        ({"zmin": 1.0, "zmax": 100.0}, "log"),
        ({"zmax": 5.0}, "log"),
        ({"zmin": 1.0, "limited": "error"}, "log"),
    ],
)
def test_the_scale_goes_by_the_range_that_was_chosen(chosen: Any, scale: str) -> None:
    values = field(np.geomspace(0.01, 100.0, 35).reshape(5, 7), name="loss")
    with drawn_as(Look(**chosen)):
        shading = shade([values], "auto")
    assert shading.scale == scale
    if "limited" not in chosen:
        ends = (chosen.get("zmin", shading.low), chosen.get("zmax", shading.high))
        assert (shading.low, shading.high) == ends


def test_a_range_that_was_chosen_is_that_of_all_panels() -> None:
    flat, steep = field(spread(1.0, 1.01)), field(np.append(0.0, spread(1.0, 50.0).ravel()[1:]).reshape(5, 7))
    own = shade_panels([flat, steep], "auto")
    with drawn_as(Look(zmin=0.5, zmax=20.0, limited="x")):
        chosen = shade_panels([flat, steep], "auto")
    assert own[0] is not own[1]
    assert chosen[0] is chosen[1]


def test_what_is_below_the_range_keeps_its_value_on_a_log_scale() -> None:
    values = field(np.append([0.0, 0.01], np.geomspace(0.1, 100.0, 33)).reshape(5, 7), name="loss")
    with drawn_as(Look(zmin=1.0)):
        drawn = shade([values], "log").drawn(values)
    assert drawn[0, :3].tolist() == pytest.approx([1.0, 0.01, 0.1])


def test_shares_and_signed_values_stay_on_an_even_scale() -> None:
    assert shade([field(spread(0.001, 1.0), unit="share")], "auto").scale == "raw"
    assert shade([field(spread(0.001, 1.0), signed=True)], "auto").scale == "raw"


def test_what_is_asked_for_is_drawn() -> None:
    assert shade([field(spread(0.001, 1.0))], "raw").scale == "raw"
    assert shade([field(spread(1.0, 2.0))], "log").scale == "log"


@pytest.mark.parametrize(("limits", "scale"), [((0.0, 5.0), "raw"), ((1.0, 5.0), "raw"), ((0.01, 5.0), "log")])
def test_limits_decide_what_of_the_range_there_is_to_show(limits: tuple[float, float], scale: str) -> None:
    assert shade([field(spread(0.001, 100.0))], "auto", limits).scale == scale


def test_a_log_scale_is_said_on_the_axis_and_in_the_caption() -> None:
    figure = figure_landscape(make_surface(bowl() ** 4), kind="surface")
    assert reliefs(figure)[0].get_zlabel() == "loss, log scale"
    decades = 4 * np.log10(bowl().max() / bowl().min())
    assert f" · seed 3 · log scale, values span {decades:.1f} decades · loss at the origin" in caption(figure)
    assert "scale" not in caption(figure_landscape(make_surface(), kind="surface"))


def test_networks_share_a_log_scale_where_all_can_be_read_on_it() -> None:
    # On an even scale the first would be a plate; together they span less than two decades.
    fields = [field(spread(0.5, 1.5)), field(spread(1.5, 40.0))]
    first, second = shade_panels(fields, "auto")
    assert first is second
    assert (first.scale, first.low, first.high) == ("log", 0.5, 40.0)


def test_networks_share_an_even_scale_where_all_can_be_read_on_it() -> None:
    first, second = shade_panels([field(spread(0.5, 1.5)), field(spread(1.0, 4.0))], "auto")
    assert first is second
    assert (first.scale, first.low, first.high) == ("raw", 0.5, 4.0)


def test_a_constant_field_asks_for_no_scale_of_its_own() -> None:
    first, second = shade_panels([field(np.full((5, 7), 2.3)), field(spread(1.0, 4.0))], "auto")
    assert first is second


@pytest.mark.parametrize("kind", ["surface", "filled", "contour", "heat"])
def test_networks_that_share_no_scale_have_their_own_and_it_is_said(kind: Any) -> None:
    surfaces = [make_surface(spread(1.0, 1.05), model="flat"), make_surface(spread(1e-3, 900.0), model="steep")]
    figure = figure_comparison(surfaces, kind=kind)
    assert "each panel on a scale of its own, since on a shared one some would look flat" in caption(figure)
    bars = [ax for ax in figure.axes if not ax.get_title()]
    labels = [" ".join((ax.get_ylabel() or ax.get_xlabel()).split()) for ax in bars]
    assert labels == ["cross-entropy loss", "cross-entropy loss, log scale"]
    if kind == "surface":
        assert [ax.get_zlim() for ax in reliefs(figure)] == [(1.0, 1.05), (-3.0, pytest.approx(np.log10(900)))]


def test_a_scale_that_is_asked_for_is_shared() -> None:
    surfaces = [make_surface(spread(1.0, 1.05)), make_surface(spread(1e-3, 900.0))]
    figure = figure_comparison(surfaces, kind="surface", scale="raw")
    assert len({ax.get_zlim() for ax in reliefs(figure)}) == 1
    assert "scale" not in caption(figure)


def test_min_max_scaling_says_that_the_shape_stays() -> None:
    said = "min-max scaled: the same shape, heights from 0 to 1"
    assert f" · {said} · " in caption(figure_landscape(make_surface(), scale="minmax"))
    assert f" · right: {said} · " in caption(figure_scaled(make_surface()))
    assert "each column min-max scaled by itself" in caption(figure_landscape(make_surface(), scale="minmax-column"))


@pytest.mark.parametrize(
    ("losses", "first"),
    [([bowl()], "raw"), ([bowl() ** 4], "log"), ([spread(1, 1.05), spread(1e-3, 900)], "minmax")],
)
def test_a_page_opens_with_the_view_in_which_all_can_be_read(losses: list[np.ndarray], first: str) -> None:
    page = interactive_surface([make_surface(loss, error=bowl_error()) for loss in losses])
    assert decoded(page)["start"]["loss"] == first
    assert decoded(page)["values"][0][0] == "loss"


@pytest.mark.parametrize(("low", "high"), [(0.25, 3.5), (0.0, 98.4), (-0.13, 5.2), (2.3, 2.3001), (0.0063, 412.0)])
def test_axes_are_numbered_at_both_ends(low: float, high: float) -> None:
    for scale, height in _heights(low):
        shading = shade([field(spread(low, high))], scale)
        ticks = shading.ticks(5)
        extent = height(high) - height(low)
        assert shading.low <= ticks[0] < ticks[-1] <= high
        assert height(ticks[0]) - height(shading.low) <= 0.03 * extent
        assert height(high) - height(ticks[-1]) <= 0.03 * extent
        assert (np.diff(height(np.asarray(ticks))) > 0.1 * extent).all()


def test_an_even_axis_that_all_but_starts_at_zero_starts_there() -> None:
    shading = shade([field(spread(0.003, 15.6))], "raw")
    assert (shading.low, shading.ticks(5)[0]) == (0.0, 0.0)
    assert shade([field(spread(0.25, 13.25))], "raw").low == 0.25


def _heights(low: float) -> list[tuple[Any, Callable[[Any], Any]]]:
    return [("raw", lambda value: value), *([("log", np.log10)] if low > 0 else [])]


@pytest.mark.parametrize(("low", "high"), [(0.006, 425.0), (0.02, 3.0), (3e-4, 16.0)])
def test_contours_of_a_log_scale_lie_at_decades_and_their_halves_and_fifths(low: float, high: float) -> None:
    levels = np.asarray(shade([field(np.geomspace(low, high, 35).reshape(5, 7))], "log").levels)
    mantissas = levels / 10.0 ** np.floor(np.log10(levels) + 1e-9)
    assert {round(float(mantissa), 6) for mantissa in mantissas} <= {1, 2, 5}
    assert levels[0] <= low
    assert levels[-1] >= high
    decades = {float(round(np.log10(level))) for level in levels if np.isclose(np.log10(level) % 1, (0, 1)).any()}
    assert decades >= set(np.arange(np.ceil(np.log10(low)), np.floor(np.log10(high)) + 1))


def test_values_too_far_apart_for_a_number_are_refused() -> None:
    values = bowl()
    values[0, 0], values[1, 1] = 1.5e308, -1.5e308
    with pytest.raises(ValueError, match=r"the loss goes from -1.5e\+308 to 1.5e\+308, too far apart to be drawn"):
        figure_landscape(replace(make_surface().field(), values=values))


def test_a_log_scale_goes_over_more_decades_than_a_quotient_can() -> None:
    assert end_ticks(1e-200, 1e200, logarithmic=True) == pytest.approx((1e-200, 1e200))
    assert end_ticks(2.0, 2.0, logarithmic=True) == pytest.approx((2.0, 2.0))
