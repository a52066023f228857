import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure

from gradscape.figures import plot_contour, plot_filled, plot_heat
from gradscape.figures.style import check_choice
from gradscape.figures.surfaces.levels import level_texts
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, unevaluated, with_gaps

MAPS = [plot_contour, plot_filled, plot_heat]


def draw(ax: Axes) -> None:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure).draw()


def only(ax: Axes, kind: type) -> list:
    return [artist for artist in ax.get_children() if isinstance(artist, kind)]


def bar_label(ax: Axes) -> str:
    figure = ax.get_figure()
    assert figure is not None
    (bar,) = [other for other in figure.axes if other is not ax]
    return " ".join(bar.get_ylabel().split())


def test_heat_cells_hold_the_losses_with_a_row_for_each_beta() -> None:
    (mesh,) = only(plot_heat(make_surface()), QuadMesh)
    assert mesh.get_array().shape == (5, 7)
    np.testing.assert_allclose(mesh.get_array(), bowl())


def test_heat_cells_lie_around_their_coordinates() -> None:
    alphas = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0])
    (mesh,) = only(plot_heat(make_surface(alphas=alphas)), QuadMesh)
    corners = mesh.get_coordinates()
    assert corners.shape == (6, 8, 2)
    np.testing.assert_allclose(corners[0, :, 0], [-1.25, -0.75, -0.25, 0.25, 0.75, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(corners[:, 0, 1], np.arange(-0.625, 0.7, 0.25))


def test_a_single_beta_makes_a_row_of_cells() -> None:
    ax = plot_heat(make_surface(bowl()[:1], betas=BETAS[:1]))
    assert only(ax, QuadMesh)[0].get_coordinates().shape == (2, 8, 2)
    draw(ax)


@pytest.mark.parametrize("plot", [plot_contour, plot_filled])
def test_contours_refuse_a_single_beta(plot) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"`surface` must have at least 2 alphas and 2 betas.*got 7 and 1"):
        plot(make_surface(bowl()[:1], betas=BETAS[:1]))


def test_contour_lines_are_the_ellipses_of_the_bowl() -> None:
    alphas, betas = np.linspace(-1, 1, 81), np.linspace(-0.5, 0.5, 61)
    x, y = np.meshgrid(alphas, betas)
    surface = make_surface(0.25 + x**2 + 9 * y**2, alphas=alphas, betas=betas)
    (contours,) = only(plot_contour(surface), ContourSet)
    drawn = 0
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for a, b in path.vertices:
            assert a**2 + 9 * b**2 == pytest.approx(level - 0.25, abs=0.02)
            drawn += 1
    assert drawn > 500


def test_contour_lines_carry_their_levels() -> None:
    ax = plot_contour(make_surface())
    (contours,) = only(ax, ContourSet)
    assert {float(text.get_text()) for text in ax.texts} <= set(contours.levels)
    assert ax.texts


def test_errors_are_drawn_in_percent() -> None:
    ax = plot_heat(make_surface(error=bowl_error()), value="error")
    (mesh,) = only(ax, QuadMesh)
    np.testing.assert_allclose(mesh.get_array(), 100 * bowl_error())
    assert bar_label(ax) == "top-1 error (%)"


@pytest.mark.parametrize(
    ("scale", "label"),
    [
        ("raw", "cross-entropy loss"),
        ("log", "cross-entropy loss, log scale"),
        ("minmax", "cross-entropy loss, min-max scaled"),
        ("minmax-column", "cross-entropy loss, min-max scaled by column"),
    ],
)
@pytest.mark.parametrize("plot", MAPS)
def test_the_color_bar_says_what_it_measures_and_how(plot, scale: str, label: str) -> None:  # type: ignore[no-untyped-def]
    ax = plot(make_surface(), scale=scale)
    draw(ax)
    assert bar_label(ax) == label
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("alpha (direction 1)", "beta (direction 2)")


def test_a_loss_of_the_users_own_is_named() -> None:
    ax = plot_heat(make_surface(loss="hinge$a$"))
    draw(ax)
    assert bar_label(ax) == "loss (hinge$a$)"


def test_scaling_by_column_takes_each_alpha_by_itself() -> None:
    (mesh,) = only(plot_heat(make_surface(), scale="minmax-column"), QuadMesh)
    expected = np.empty((5, 7))
    for column in range(7):
        values = bowl()[:, column]
        expected[:, column] = (values - values.min()) / (values.max() - values.min())
    np.testing.assert_allclose(mesh.get_array(), expected, atol=1e-12)
    assert mesh.get_clim() == (0, 1)


def test_limits_set_the_range_of_the_colors() -> None:
    ax = plot_heat(make_surface(), limits=(0.5, 2.0))
    (mesh,) = only(ax, QuadMesh)
    assert mesh.get_clim() == (0.5, 2.0)
    assert mesh.colorbar.extend == "both"


def test_a_log_scale_keeps_zeros_at_the_lowest_positive_value() -> None:
    loss = bowl()
    loss[2, 3] = 0.0
    (mesh,) = only(plot_heat(make_surface(loss), scale="log"), QuadMesh)
    assert isinstance(mesh.norm, LogNorm)
    assert not np.ma.getmaskarray(mesh.get_array()).any()
    assert mesh.get_array()[2, 3] == loss[loss > 0].min()
    assert mesh.colorbar.extend == "min"


@pytest.mark.parametrize("plot", MAPS)
def test_non_finite_points_are_hatched_and_named(plot) -> None:  # type: ignore[no-untyped-def]
    ax = plot(make_surface(with_gaps(bowl())))
    draw(ax)
    (gaps,) = [artist for artist in only(ax, PolyCollection) if artist.get_hatch()]
    middles = np.array([path.vertices[:4].mean(axis=0) for path in gaps.get_paths()])
    assert len(middles) == 2
    if plot is plot_heat:
        np.testing.assert_allclose(middles, [[ALPHAS[1], BETAS[0]], [ALPHAS[6], BETAS[3]]])
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["non-finite"]


def test_points_not_yet_evaluated_are_told_from_non_finite_ones() -> None:
    ax = plot_heat(unevaluated(make_surface(with_gaps(bowl())), 4))
    draw(ax)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["not evaluated", "non-finite"]
    plain, hatched = (artist for artist in only(ax, PolyCollection))
    assert (len(plain.get_paths()), plain.get_hatch()) == (7, None)
    assert (len(hatched.get_paths()), hatched.get_hatch()) == (2, "////")


@pytest.mark.parametrize("plot", MAPS)
def test_the_origin_is_marked_also_where_the_grid_misses_it(plot) -> None:  # type: ignore[no-untyped-def]
    alphas = np.linspace(-1, 1, 6)
    ax = plot(make_surface(bowl()[:, :6], alphas=alphas))
    (mark,) = [line for line in ax.lines if line.get_label() == "origin"]
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([0], [0])


@pytest.mark.parametrize("plot", MAPS)
@pytest.mark.parametrize("loss", [np.full((5, 7), 2.3026), np.full((5, 7), np.nan), np.zeros((5, 7)), bowl() - 20])
def test_flat_lost_and_negative_surfaces_are_drawn_without_a_warning(plot, loss: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    ax = plot(make_surface(loss))
    draw(ax)
    assert ax.get_xlabel() == "alpha (direction 1)"
    assert ax.collections or ax.texts


def test_a_surface_without_contours_says_so() -> None:
    assert [text.get_text() for text in plot_contour(make_surface(np.full((5, 7), 2.3026))).texts] == [
        "no contour: flat at 2.303"
    ]


@pytest.mark.parametrize("plot", [plot_contour, plot_filled])
def test_an_outlier_leaves_contours_among_the_other_values(plot) -> None:  # type: ignore[no-untyped-def]
    loss = bowl()
    loss[4, 6] = 1e6
    (contours,) = only(plot(make_surface(loss)), ContourSet)
    assert np.sum((np.asarray(contours.levels) > 0.25) & (np.asarray(contours.levels) < bowl().max())) >= 2


def test_drawing_into_given_axes_touches_no_others() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot_filled(make_surface(), ax=left) is left
    assert not right.has_data()


def test_the_users_own_settings_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    plot_filled(make_surface())
    assert dict(mpl.rcParams) == before


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"`scale` must be one of raw, log, got 'linear'"):
        check_choice("scale", "linear", ("raw", "log"))


def test_limits_that_are_no_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`limits` must be two finite numbers, the lower first, got \(2.0, 1.0\)"):
        plot_heat(make_surface(), limits=(2.0, 1.0))
    with pytest.raises(ValueError, match=r"`limits` must be positive on a log scale, got \(0.0, 1.0\)"):
        plot_heat(make_surface(), limits=(0.0, 1.0), scale="log")


def test_a_log_scale_needs_a_positive_value() -> None:
    with pytest.raises(ValueError, match=r"`scale` \"log\" needs a positive loss, got at most -1"):
        plot_heat(make_surface(np.full((5, 7), -1.0)), scale="log")


def test_an_error_that_was_not_measured_is_refused() -> None:
    with pytest.raises(ValueError, match=r'`value` "error" was not measured'):
        plot_heat(make_surface(error=np.full((5, 7), np.nan)), value="error")


@pytest.mark.parametrize(
    ("levels", "texts"),
    [
        ([0.0, 0.5, 1.0], ["0", "0.5", "1"]),
        ([-5.0, 1e-17, 5.0], ["−5", "0", "5"]),
        ([1e-30, 1e-6, 0.001, 1.0, 1e5], ["10⁻³⁰", "10⁻⁶", "0.001", "1", "10⁵"]),
        ([-2e-4, 0.0, 2e-4], ["−2×10⁻⁴", "0", "2×10⁻⁴"]),
        ([100.0, 102.5, 105.0], ["100", "102.5", "105"]),
        ([2e4, 1.5e5], ["20000", "1.5×10⁵"]),
        ([2.3026], ["2.3026"]),
    ],
)
def test_levels_are_written_with_the_digits_they_have(levels: list[float], texts: list[str]) -> None:
    assert level_texts(levels) == texts
