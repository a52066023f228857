"""Fields other than loss and error: their colors, ranges, labels, gaps and captions."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from gradscape.figures import figure_comparison, figure_landscape, plot_contour, plot_filled, plot_heat, plot_surface
from gradscape.landscape import Field, Surface
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, with_gaps

KINDS = ("contour", "filled", "heat", "surface")


def tilted(**about: object) -> Field:
    """2·alpha + 1, (5, 7), from -1 to 3."""
    values = np.broadcast_to(2 * ALPHAS + 1, (5, 7)).copy()
    about = {"name": "tilt", "label": "tilt of the plane", "unit": "rad", **about}
    return Field(alphas=ALPHAS, betas=BETAS, values=values, **about)  # type: ignore[arg-type]


def bar(figure: Figure) -> str:
    labels = [ax.get_ylabel() or ax.get_xlabel() for ax in figure.axes if ax.get_label() == "<colorbar>"]
    return " ".join(labels[0].split())


def picture(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def mesh(figure: Figure) -> QuadMesh:
    (found,) = [artist for artist in figure.axes[0].collections if isinstance(artist, QuadMesh)]
    return found


@pytest.mark.parametrize("value", ["loss", "error"])
@pytest.mark.parametrize("plot", [plot_contour, plot_filled, plot_heat, plot_surface])
def test_a_surface_is_drawn_by_its_field(plot, value: str) -> None:  # type: ignore[no-untyped-def]
    surface = make_surface(error=bowl_error())
    first, second = (picture(ax.get_figure()) for ax in (plot(surface, value=value), plot(surface.field(value))))
    np.testing.assert_array_equal(first, second)


def test_a_field_needs_no_value() -> None:
    with pytest.raises(ValueError, match=r'`value` must be left out for a field, which is one already \("tilt"\)'):
        plot_heat(tilted(), value="loss")


@pytest.mark.parametrize("kind", KINDS)
def test_a_standard_error_is_drawn_and_called_so(kind) -> None:  # type: ignore[no-untyped-def]
    figure = figure_landscape(make_surface(), kind=kind, value="stderr")
    if kind != "surface":
        assert bar(figure) == "standard error of the cross-entropy loss"
    else:
        assert isinstance(figure.axes[0], Axes3D)
        assert figure.axes[0].get_zlabel() == "standard error"
    if kind == "heat":
        np.testing.assert_allclose(np.asarray(mesh(figure).get_array()), 0.02 * bowl())


def test_each_sort_of_value_has_its_own_colors() -> None:
    surface = make_surface(error=bowl_error())
    fields = [surface.field("loss"), surface.field("error"), surface.field("stderr"), tilted(signed=True)]
    names = [mesh(figure_landscape(field, kind="heat")).get_cmap().name for field in fields]
    assert names == ["viridis", "magma", "cividis", "coolwarm"]


@pytest.mark.parametrize("kind", KINDS)
def test_colors_of_signed_values_diverge_from_zero(kind) -> None:  # type: ignore[no-untyped-def]
    figure = figure_landscape(tilted(signed=True), kind=kind)
    if kind == "heat":
        assert mesh(figure).get_clim() == (-3, 3)
    if kind == "surface":
        assert isinstance(figure.axes[0], Axes3D)
        assert figure.axes[0].get_zlim() == (-3, 3)
        assert figure.axes[0].get_zlabel() == "tilt (rad)"
    if kind in ("contour", "filled"):
        levels = np.asarray(figure.axes[0].collections[0].levels)  # type: ignore[attr-defined]
        assert 0 in levels
    if kind == "filled":
        np.testing.assert_allclose(levels, -levels[::-1])


def test_scaled_values_have_lost_their_sign_and_its_colors() -> None:
    scaled = mesh(figure_landscape(tilted(signed=True), kind="heat", scale="minmax"))
    assert (scaled.get_clim(), scaled.get_cmap().name) == ((0, 1), "cividis")


def test_limits_of_signed_values_must_be_symmetric() -> None:
    assert plot_heat(tilted(signed=True), limits=(-1.0, 1.0)).collections[0].get_clim() == (-1, 1)
    with pytest.raises(
        ValueError, match=r"`limits` must be as far below 0 as above for signed values, got \(0.0, 1.0\)"
    ):
        plot_heat(tilted(signed=True), limits=(0.0, 1.0))


def test_signed_values_have_no_logarithm() -> None:
    with pytest.raises(ValueError, match='`scale` "log" cannot show both signs of the tilt: use "raw"'):
        plot_heat(tilted(signed=True), scale="log")


def test_units_stand_behind_labels_unless_scaled_away() -> None:
    assert bar(figure_landscape(tilted())) == "tilt of the plane (rad)"
    assert bar(figure_landscape(tilted(), scale="minmax")) == "tilt of the plane, min-max scaled"


def test_fields_of_two_names_share_no_scale() -> None:
    with pytest.raises(ValueError, match="`surfaces` must be fields of one name to share a scale, got tilt, loss"):
        figure_comparison([tilted(), make_surface().field("loss")])


def test_an_analysis_names_its_own_gaps() -> None:
    values = with_gaps(bowl())
    undefined = np.zeros((5, 7), bool)
    undefined[0, 1] = True
    field = Field(name="x", alphas=ALPHAS, betas=BETAS, values=values, label="x", marks={"without a cure": undefined})
    figure = figure_landscape(field, kind="heat")
    gaps = [
        artist for artist in figure.axes[0].collections if isinstance(artist, PolyCollection) and artist.get_hatch()
    ]
    assert {(gap.get_label(), gap.get_hatch(), len(gap.get_paths())) for gap in gaps} == {
        ("non-finite", "////", 1),
        ("without a cure", "....", 1),
    }
    assert figure.get_supxlabel().endswith("1 point without a cure")


def test_a_difference_says_which_minus_which_and_how_many_differ() -> None:
    surfaces = [make_surface(bowl(steepness), model=f"net{steepness}") for steepness in (2, 1)]
    figure = figure_landscape(surfaces[0].difference(surfaces[1]).field(), kind="heat")
    np.testing.assert_allclose(np.asarray(mesh(figure).get_array()), bowl(2) - bowl(1))
    assert bar(figure) == "cross-entropy loss: net2 minus net1"
    caption = " ".join(figure.get_supxlabel().split())
    assert caption.startswith("net2 minus net1 · digits (train) · 400 of 4,000 images")
    assert "difference at the origin 0 · no standard error: fewer than two blocks of images" in caption


def test_the_difference_of_a_surface_with_itself_is_drawn_flat() -> None:
    surface: Surface = make_surface()
    for kind in KINDS:
        figure = figure_landscape(surface.difference(surface).field(), kind=kind)  # type: ignore[arg-type]
        assert picture(figure).std() > 0
