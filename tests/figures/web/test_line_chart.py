"""Charts for the report: where numbers land, and what is said of them."""

import re

import numpy as np
import pytest

from gradscape.figures.web.line_chart import Chart, ChartCurve, place_chart


def corners(chart: Chart, number: int = 0) -> np.ndarray:
    """(N, 2) corners of a curve."""
    return np.array(re.findall(r"[ML]([\d.-]+) ([\d.-]+)", chart.curves[number].path), dtype=float)


def chart_of(*heights: float, **options: bool) -> Chart:
    x = np.arange(1.0, len(heights) + 1)
    return place_chart(
        [ChartCurve("net", x, np.array(heights, dtype=float), 0)], x_label="epoch", y_label="loss", **options
    )


def test_a_straight_line_is_drawn_from_edge_to_edge() -> None:
    chart = chart_of(0, 10, 20, 30)
    points = corners(chart)
    np.testing.assert_allclose(points[[0, -1], 0], [chart.left, chart.right])
    np.testing.assert_allclose(np.diff(points, axis=0), np.diff(points, axis=0)[:1].repeat(3, axis=0), atol=0.11)
    assert chart.top < points[-1, 1] < points[0, 1] < chart.bottom
    ticks = {float(text): place for place, text in chart.y_ticks}
    np.testing.assert_allclose([ticks[value] for value in (0, 10, 20, 30)], points[:, 1], atol=0.11)
    assert chart.y_label == "loss"


def test_a_factor_above_fifty_makes_the_scale_logarithmic() -> None:
    chart = chart_of(1, 10, 100)
    assert chart.y_label == "loss (log)"
    steps = np.diff(corners(chart)[:, 1])
    assert steps[0] == pytest.approx(steps[1], abs=0.11)
    assert {text for _, text in chart.y_ticks} >= {"1", "10", "100"}
    assert chart_of(0, 10, 100).y_label == "loss"
    assert chart_of(2, 10, 99).y_label == "loss"
    assert chart_of(1, 10, 100, linear=True).y_label == "loss"


def test_what_is_not_finite_is_a_gap() -> None:
    path = chart_of(1, 2, np.nan, 3, 4).curves[0].path
    assert path.count("M") == 2
    assert path.count("L") == 2


def test_a_constant_and_a_single_point_have_a_place() -> None:
    assert len(corners(chart_of(3, 3, 3))) == 3
    assert len(corners(chart_of(3))) == 1
    assert np.isfinite(corners(chart_of(3))).all()
    assert chart_of(np.nan, np.nan).curves[0].path == ""


def test_epochs_are_whole_numbers_and_minus_signs_are_signs() -> None:
    assert all(float(text).is_integer() for _, text in chart_of(1, 2, whole=True).x_ticks)
    assert any(text.startswith("\N{MINUS SIGN}") for _, text in chart_of(-3, 2).y_ticks)


def test_a_chart_says_in_words_what_it_shows() -> None:
    curves = [
        ChartCurve("a", np.array([1.0, 2.0]), np.array([0.5, 0.25]), 0),
        ChartCurve("b", np.array([1.0, 2.0]), np.array([np.nan, np.nan]), 1),
    ]
    said = place_chart(curves, x_label="epoch", y_label="loss").said
    assert said == "loss against epoch: a from 0.5 to 0.25; b nowhere finite"
    with pytest.raises(ValueError, match="`curves` must hold at least one curve, got none"):
        place_chart([], x_label="epoch", y_label="loss")


def test_no_two_of_many_curves_look_alike() -> None:
    curves = [ChartCurve(str(number), np.arange(2.0), np.arange(2.0), number) for number in range(21)]
    dotted = [ChartCurve(str(number), np.arange(2.0), np.arange(2.0), number, dashed=True) for number in range(21)]
    placed = place_chart([*curves, *dotted], x_label="epoch", y_label="loss").curves
    assert len({(curve.color, curve.dashes) for curve in placed}) == 42
    assert {curve.color for curve in placed} == set(range(7))
    assert [curve.dashes for curve in placed[:7]] == [""] * 7
