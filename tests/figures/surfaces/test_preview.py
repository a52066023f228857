import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.interpolate import RegularGridInterpolator

from gradscape.figures.surfaces.pages import figure_landscape
from gradscape.figures.surfaces.preview import describe_progress, figure_preview, interpolated_loss
from gradscape.figures.web.live import live_page
from gradscape.landscape import Surface
from gradscape.landscape.engine.schedule import coarse_to_fine
from gradscape.landscape.statistics import BlockStatistics
from tests.figures.results import make_blocks, make_surface

ALPHAS = np.linspace(-1, 1, 31)
# Not evenly spaced, not as many, and with the origin aside.
BETAS = np.linspace(-0.3, 1, 24) * np.linspace(1, 1.5, 24)
SHAPE = (len(BETAS), len(ALPHAS))
EVIL = "<script>document.title='hacked'</script>"


def plane(alphas: np.ndarray, betas: np.ndarray) -> np.ndarray:
    return 5 + 2 * alphas - 0.75 * betas


def rough() -> np.ndarray:
    """A bowl with noise, (24, 31)."""
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    return np.asarray(0.5 + alphas**2 + 3 * betas**2 + np.random.default_rng(0).uniform(0, 0.1, SHAPE))


def level(number: int) -> np.ndarray:
    """Where a run has been when so many levels are done, (24, 31)."""
    done = np.zeros(SHAPE, bool)
    for points in coarse_to_fine(SHAPE)[:number]:
        done.ravel()[points] = True
    return done


def partly(
    loss: np.ndarray, evaluated: np.ndarray, *, alphas: np.ndarray = ALPHAS, betas: np.ndarray = BETAS
) -> Surface:
    """A surface on its way: 400 images where it was evaluated, none elsewhere."""
    whole = make_surface(loss, alphas=alphas, betas=betas)
    empty = BlockStatistics.empty(1, loss.shape, whole.blocks.population)
    arrays = {
        name: np.where(evaluated, getattr(whole.blocks, name), getattr(empty, name))
        for name in BlockStatistics.arrays()
    }
    blocks = BlockStatistics(**arrays, population=whole.blocks.population)
    return Surface(alphas=alphas, betas=betas, blocks=blocks, origin=whole.origin, meta=whole.meta)


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def caption(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def contours(figure: Figure) -> ContourSet:
    (found,) = [artist for artist in figure.axes[0].collections if isinstance(artist, ContourSet)]
    return found


def dots(figure: Figure) -> Line2D | None:
    return next((line for line in figure.axes[0].lines if line.get_label() == "evaluated"), None)


@pytest.mark.parametrize("levels", [1, 2])
def test_a_plane_is_filled_in_exactly(levels: int) -> None:
    loss = plane(*np.meshgrid(ALPHAS, BETAS))
    evaluated = level(levels)
    assert not evaluated.all()
    filled = interpolated_loss(partly(loss, evaluated))
    assert not np.ma.getmaskarray(filled).any()
    np.testing.assert_allclose(filled, loss, rtol=1e-13)


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.9))
def test_a_plane_is_filled_in_exactly_wherever_a_run_was_stopped(seed: int, share: float) -> None:
    loss = plane(*np.meshgrid(ALPHAS, BETAS))
    evaluated = np.random.default_rng(seed).random(SHAPE) < share
    filled = interpolated_loss(partly(loss, evaluated))
    np.testing.assert_allclose(filled.compressed(), loss[~np.ma.getmaskarray(filled)], rtol=1e-12)
    assert not np.ma.getmaskarray(filled)[evaluated].any()


def test_even_grids_are_filled_in_as_scipy_does() -> None:
    rows, columns = (np.flatnonzero(level(1).any(axis=axis)) for axis in (1, 0))
    loss = rough()
    reference = RegularGridInterpolator((BETAS[rows], ALPHAS[columns]), loss[np.ix_(rows, columns)])
    betas, alphas = np.meshgrid(BETAS, ALPHAS, indexing="ij")
    filled = interpolated_loss(partly(loss, level(1)))
    np.testing.assert_allclose(filled, reference((betas, alphas)), rtol=1e-12)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_evaluated_points_keep_their_values_to_the_bit(levels: int) -> None:
    evaluated, loss = level(levels), rough()
    surface = partly(loss, evaluated)
    filled = interpolated_loss(surface)
    np.testing.assert_array_equal(filled[evaluated], surface.loss[evaluated])
    np.testing.assert_array_equal(surface.count > 0, evaluated)
    assert np.isnan(surface.loss[~evaluated]).all()


def test_descending_coordinates_change_nothing() -> None:
    upright = interpolated_loss(partly(rough(), level(1)))
    turned = partly(rough()[::-1, ::-1], level(1)[::-1, ::-1], alphas=ALPHAS[::-1], betas=BETAS[::-1])
    np.testing.assert_allclose(interpolated_loss(turned)[::-1, ::-1], upright, rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nothing_bridges_a_point_of_non_finite_loss(value: float) -> None:
    evaluated, loss = level(1), rough()
    rows, columns = np.flatnonzero(evaluated.any(axis=1)), np.flatnonzero(evaluated.any(axis=0))
    loss[rows[4], columns[6]] = value
    masked = np.ma.getmaskarray(interpolated_loss(partly(loss, evaluated)))
    expected = np.zeros(SHAPE, bool)
    expected[rows[3] + 1 : rows[5], columns[5] + 1 : columns[7]] = True
    np.testing.assert_array_equal(masked, expected)


def test_nothing_is_extrapolated() -> None:
    evaluated = level(1)
    evaluated[12:] = evaluated[:, 20:] = False
    reached = ~np.ma.getmaskarray(interpolated_loss(partly(rough(), evaluated)))
    rows, columns = np.nonzero(evaluated)
    expected = np.zeros(SHAPE, bool)
    expected[: rows.max() + 1, : columns.max() + 1] = True
    np.testing.assert_array_equal(reached, expected)


def test_contours_of_a_plane_lie_where_the_plane_has_their_level() -> None:
    loss = plane(*np.meshgrid(ALPHAS, BETAS))
    filled = contours(figure_preview(partly(loss, level(1))))
    corners = np.concatenate([path.vertices for path in filled.get_paths()])
    np.testing.assert_allclose((corners.min(axis=0), corners.max(axis=0)), [(-1, BETAS[0]), (1, BETAS[-1])])
    within = corners[(np.abs(corners[:, 0]) < 1) & (corners[:, 1] > BETAS[0]) & (corners[:, 1] < BETAS[-1])]
    assert len(within) > 50
    heights = plane(*within.T)
    assert np.abs(heights[:, None] - filled.levels).min(axis=1).max() < 1e-9


def test_dots_mark_what_was_evaluated_until_all_is() -> None:
    surface = partly(rough(), level(1))
    found = dots(drawn(figure_preview(surface)))
    assert found is not None
    rows, columns = np.nonzero(level(1))
    np.testing.assert_array_equal(found.get_xydata(), np.stack([ALPHAS[columns], BETAS[rows]], axis=1))
    assert dots(figure_preview(partly(rough(), level(3)))) is None


def test_a_complete_surface_is_drawn_as_ever() -> None:
    surface = make_surface(rough(), alphas=ALPHAS, betas=BETAS)
    ours, usual = contours(figure_preview(surface)), contours(figure_landscape(surface, kind="filled"))
    np.testing.assert_array_equal(ours.levels, usual.levels)
    for one, other in zip(ours.get_paths(), usual.get_paths(), strict=True):
        np.testing.assert_array_equal(one.vertices, other.vertices)


def test_gaps_are_told_apart() -> None:
    evaluated, loss = level(1), rough()
    rows, columns = np.flatnonzero(evaluated.any(axis=1)), np.flatnonzero(evaluated.any(axis=0))
    loss[rows[4], columns[6]] = np.nan
    legend = drawn(figure_preview(partly(loss, evaluated))).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["not evaluated", "non-finite"]


def test_the_words_say_how_far_it_is() -> None:
    on_the_way = partly(rough(), level(1))
    assert describe_progress(on_the_way) == "121 of 744 points on 400 images each; between the dots interpolated"
    assert caption(figure_preview(on_the_way)) == (
        "preview: 121 of 744 points on 400 images each; between the dots interpolated · net · digits (train) · "
        "400 of 4,000 images · alpha -1 to 1, beta -0.3 to 1.5 · filter normalization · seed 3"
    )
    # A standard error of 2 % of the loss, which is 6 nearly everywhere.
    flat = np.full((5, 7), 6.0)
    flat[0, 0] = 100.0
    everywhere = make_surface(flat)
    assert describe_progress(everywhere) == "all 35 points on 400 images each, median standard error 0.12"
    assert caption(figure_preview(everywhere)).startswith(f"preview: {describe_progress(everywhere)} · net · ")
    assert "loss at the origin 0.25" in caption(figure_preview(everywhere))


def test_the_words_fit_every_count_of_images() -> None:
    surface = make_surface()
    surface.blocks.count[0, 0, :3] = 4000
    assert describe_progress(surface).startswith("all 35 points on 400 to 4,000 images each, median standard error ")
    surface.blocks.count[:] = 4000
    assert describe_progress(surface) == "all 35 points on all 4,000 images"
    surface.blocks.count[:] = 1
    surface.blocks.m2[:] = 0
    assert describe_progress(surface) == "all 35 points on 1 image each"
    nothing = partly(rough(), np.zeros(SHAPE, bool))
    assert describe_progress(nothing) == "0 of 744 points"
    assert caption(drawn(figure_preview(nothing))).startswith("preview: 0 of 744 points · net")


def test_diverged_points_do_not_count_in_the_median_standard_error() -> None:
    loss = np.full((5, 7), 6.0)
    loss[1:4] = np.nan
    surface = Surface(
        alphas=ALPHAS[:7],
        betas=BETAS[:5],
        blocks=make_blocks(loss, np.full((5, 7), 0.5)),
        origin=make_blocks(np.array(6.0), np.array(0.5)),
        meta={},
    )
    assert describe_progress(surface) == "all 35 points on 400 images each, median standard error 0.12"


def test_a_single_beta_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ValueError, match=r"`surface` must have at least 2 alphas and 2 betas.*got 31 and 1"):
        figure_preview(partly(rough()[:1], level(1)[:1], betas=BETAS[:1]))


def test_the_page_says_whether_more_will_come() -> None:
    surface = partly(rough(), level(1))
    running = live_page(surface, b"picture", title=EVIL, running=True)
    assert '<meta http-equiv="refresh" content="2">' in running
    assert "<strong>running</strong>: 121 of 744 points on 400 images each" in running
    assert "surface.html" not in running
    for still, state in ((surface, "stopped"), (partly(rough(), level(3)), "complete")):
        page = live_page(still, b"picture", title=EVIL, running=False)
        assert "refresh" not in page
        assert f"<strong>{state}</strong>: {describe_progress(still)}" in page
        assert '<a href="surface.html">' in page


@pytest.mark.parametrize("running", [True, False])
def test_the_page_takes_names_as_text_and_asks_for_nothing(running: bool) -> None:
    page = live_page(partly(rough(), level(1)), b"picture", title=EVIL, running=running)
    assert "<script" not in page
    assert "&lt;script&gt;document.title" in page
    assert "http:" not in page
    assert "https:" not in page
