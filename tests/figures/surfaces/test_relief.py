import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]

from gradscape.figures import plot_surface
from gradscape.figures.surfaces.seen_marks import SeenMarks
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, with_gaps


def pixels(ax: Axes) -> np.ndarray:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def cells(ax: Axes) -> np.ndarray:
    """Corners of the drawn cells, (cells, 4, 3)."""
    (mesh,) = [artist for artist in ax.collections if isinstance(artist, Poly3DCollection)]
    return np.asarray(mesh._faces)


def test_every_cell_stands_on_its_four_points() -> None:
    expected = [
        [
            (ALPHAS[a], BETAS[b], bowl()[b, a])
            for b, a in ((row, col), (row, col + 1), (row + 1, col + 1), (row + 1, col))
        ]
        for row in range(4)
        for col in range(6)
    ]
    np.testing.assert_allclose(cells(plot_surface(make_surface())), expected)


def test_cells_that_touch_a_non_finite_point_stay_open() -> None:
    # [0, 1] at the border belongs to two cells, [3, 6] at the other border too.
    assert len(cells(plot_surface(make_surface(with_gaps(bowl()))))) == 4 * 6 - 2 - 2


def test_the_picture_is_not_blank() -> None:
    image = pixels(plot_surface(make_surface())).reshape(-1, 3).astype(int)
    colored = image.max(axis=1) - image.min(axis=1) > 40
    assert colored.mean() > 0.08


def test_nothing_is_cut_off_at_the_edge_of_the_page() -> None:
    image = pixels(plot_surface(make_surface(error=bowl_error()), value="error"))
    for edge in (image[0], image[-1], image[:, 0], image[:, -1]):
        assert (edge == 255).all()


def test_the_vertical_axis_is_labelled_with_its_unit() -> None:
    ax = plot_surface(make_surface(error=bowl_error()), value="error")
    assert ax.get_zlabel() == "error (%)"  # type: ignore[attr-defined]


def test_on_a_log_scale_heights_are_logarithms_and_labels_are_values() -> None:
    ax = plot_surface(make_surface(bowl() ** 3), scale="log")
    np.testing.assert_allclose(cells(ax)[0, 0, 2], np.log10(bowl()[0, 0] ** 3))
    labels = {text.get_text(): height for text, height in zip(ax.get_zticklabels(), ax.get_zticks(), strict=True)}  # type: ignore[attr-defined]
    assert len(labels) >= 2
    for text, height in labels.items():
        assert float(text) == pytest.approx(10**height)


def test_on_a_log_scale_a_cell_has_the_color_of_its_mean_height() -> None:
    ax = plot_surface(make_surface(bowl() ** 3), scale="log")
    (mesh,) = [artist for artist in ax.collections if isinstance(artist, Poly3DCollection)]
    np.testing.assert_allclose(np.log10(np.asarray(mesh.get_array())), cells(ax)[..., 2].mean(axis=1))


@pytest.mark.parametrize("span", [0.05, 0.3, 0.5, 1.0, 2.0, 25.0])
def test_both_directions_have_numbers_enough_to_read_a_scale(span: float) -> None:
    ax = plot_surface(make_surface(alphas=span * np.linspace(-1, 1, 7), betas=span * np.linspace(-1, 1, 5)))
    for axis in (ax.xaxis, ax.yaxis):
        assert (np.abs(axis.get_majorticklocs()) <= span).sum() >= 3


def test_heights_beyond_the_limits_are_drawn_at_the_limit() -> None:
    heights = cells(plot_surface(make_surface(), limits=(0.5, 2.0)))[..., 2]
    assert (heights.min(), heights.max()) == (0.5, 2.0)


def origin(ax: Axes) -> SeenMarks:
    (mark,) = [line for line in ax.lines if line.get_label() == "origin"]
    assert isinstance(mark, SeenMarks)
    return mark


def test_the_origin_is_marked_at_its_loss_without_a_line() -> None:
    mark = origin(plot_surface(make_surface()))
    assert [list(side) for side in mark.get_data_3d()] == [[0], [0], [0.25]]
    assert mark.get_linestyle() == "None"


@pytest.mark.parametrize("loss", [np.full((5, 7), 2.3026), np.full((5, 7), np.nan), np.zeros((5, 7)), bowl() - 20])
def test_flat_lost_and_negative_surfaces_are_drawn_without_a_warning(loss: np.ndarray) -> None:
    assert len(np.unique(pixels(plot_surface(make_surface(loss))))) > 1


def test_flat_axes_are_refused() -> None:
    with pytest.raises(TypeError, match=r'`ax` must be 3-D axes, got Axes: make them with projection="3d"'):
        plot_surface(make_surface(), ax=Figure().subplots())


def test_a_single_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`surface` must have at least 2 alphas and 2 betas.*got 1 and 5"):
        plot_surface(make_surface(bowl()[:, :1], alphas=ALPHAS[:1]))
