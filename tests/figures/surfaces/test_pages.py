from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]

from gradscape.figures import figure_comparison, figure_landscape, figure_scaled, save_figure
from gradscape.figures.style import SINGLE_COLUMN
from gradscape.landscape import Surface
from tests.figures.results import BETAS, bowl, bowl_error, make_surface, unevaluated, with_gaps

KINDS = ("contour", "filled", "heat", "surface")


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def caption(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def meshes(figure: Figure) -> list[QuadMesh]:
    return [
        artist for ax in figure.axes for artist in ax.collections if isinstance(artist, QuadMesh) and ax.get_title()
    ]


def three() -> list[Surface]:
    return [make_surface(bowl(steepness), model=f"net{steepness}") for steepness in (1, 4, 2)]


def test_the_caption_says_what_was_measured_and_what_could_not_be() -> None:
    surface = make_surface(with_gaps(bowl()))
    assert caption(figure_landscape(unevaluated(surface, 4))) == (
        "net · digits (train) · 400 of 4,000 images · alpha -1 to 1, beta -0.5 to 0.5 · filter normalization · "
        "seed 3 · loss at the origin 0.25 ± 0.005 · error 10 % · 2 points non-finite · 7 points not evaluated"
    )


def test_the_caption_of_a_stopped_run_says_how_many_images_it_was_to_see() -> None:
    surface = make_surface(images=400, images_asked=1024, population=4000)
    assert "digits (train) · 400 of 1,024 images (stopped early, drawn from 4,000)" in caption(
        figure_landscape(surface)
    )


def test_a_square_span_is_said_in_one_number() -> None:
    assert "span ±0.5" in caption(figure_landscape(make_surface(alphas=np.linspace(-0.5, 0.5, 7))))


def test_a_bare_surface_has_a_caption_too() -> None:
    full = make_surface()
    bare = Surface(alphas=full.alphas, betas=full.betas, blocks=full.blocks, origin=full.origin, meta={})
    assert caption(figure_landscape(bare)).startswith("model · 400 of 4,000 images · alpha -1 to 1")


@pytest.mark.parametrize("kind", KINDS)
def test_signs_in_names_are_shown_as_they_are(kind) -> None:  # type: ignore[no-untyped-def]
    surfaces = [make_surface(model="$x_{"), make_surface(model="a$b^\n$")]
    figure = drawn(figure_comparison(surfaces, kind=kind))
    assert [ax.get_title() for ax in figure.axes if ax.get_title()] == ["$x_{", "a$b^ $"]
    assert "$x_{: " in caption(figure)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_for_one_column_is_as_wide_as_one(kind) -> None:  # type: ignore[no-untyped-def]
    figure = drawn(figure_landscape(make_surface(error=bowl_error()), kind=kind, value="error"))
    assert figure.get_figwidth() == SINGLE_COLUMN
    assert isinstance(figure.axes[0], Axes3D) == (kind == "surface")


def test_compared_cells_share_one_color_scale() -> None:
    figure = drawn(figure_comparison(three(), kind="heat"))
    first, second, third = meshes(figure)
    assert first.get_clim() == second.get_clim() == third.get_clim() == (0.25, bowl(4).max())
    np.testing.assert_allclose(np.asarray(second.get_array()), bowl(4))
    assert len(figure.axes) == 3 + 1


def test_compared_contours_share_their_levels() -> None:
    figure = figure_comparison(three(), kind="filled")
    levels = [list(artist.levels) for ax in figure.axes for artist in ax.collections if isinstance(artist, ContourSet)]
    assert levels[0] == levels[1] == levels[2]
    assert levels[0][-1] >= bowl(4).max()


def test_compared_mountains_share_their_heights() -> None:
    panels = [ax for ax in drawn(figure_comparison(three(), kind="surface")).axes if isinstance(ax, Axes3D)]
    assert [ax.get_zlim() for ax in panels] == [(0.25, bowl(4).max())] * 3
    assert [ax.get_title() for ax in panels] == ["net1", "net4", "net2"]


def test_what_compared_surfaces_share_is_said_once() -> None:
    text = caption(figure_comparison(three()))
    assert text.count("digits (train)") == text.count("seed 3") == 1
    assert "net4: loss at the origin 0.25 ± 0.005, error 10 %" in text


def test_same_models_are_told_apart_by_their_seeds() -> None:
    figure = figure_comparison([make_surface(seed=1), make_surface(seed=2)])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["net, seed 1", "net, seed 2"]
    assert "net, seed 2: " in caption(figure)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_five_panels_fill_two_rows(kind) -> None:  # type: ignore[no-untyped-def]
    figure = drawn(figure_comparison([*three(), *three()[:2]], kind=kind, titles=list("abcde")))
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == list("abcde")
    heights = [round(ax.get_position().y0, 3) for ax in panels]
    assert heights[0] == heights[1] == heights[2] > heights[3] == heights[4]


def test_panels_of_other_spans_keep_their_own_numbers() -> None:
    wide = make_surface(betas=2 * BETAS)
    figure = drawn(figure_comparison([make_surface(), wide], kind="filled"))
    assert figure.axes[1].yaxis.get_tick_params()["labelleft"]
    same = drawn(figure_comparison([make_surface(), make_surface()], kind="filled"))
    assert not same.axes[1].yaxis.get_tick_params()["labelleft"]


def test_originals_share_a_range_and_scaled_ones_fill_theirs() -> None:
    figure = drawn(figure_scaled(three()[:2], kind="heat"))
    flat, flat_scaled, steep, steep_scaled = meshes(figure)
    assert flat.get_clim() == steep.get_clim() == (0.25, bowl(4).max())
    assert flat_scaled.get_clim() == steep_scaled.get_clim() == (0, 1)
    np.testing.assert_allclose(np.asarray(flat_scaled.get_array()), np.asarray(steep_scaled.get_array()))
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == ["net1, original", "net1, scaled", "net4, original", "net4, scaled"]


def test_the_scaled_page_shows_mountains_of_one_surface() -> None:
    original, scaled = (ax for ax in drawn(figure_scaled(make_surface())).axes if isinstance(ax, Axes3D))
    assert original.get_zlim() == (0.25, bowl().max())
    assert scaled.get_zlim() == (0, 1)


def test_titles_must_name_each_surface() -> None:
    with pytest.raises(ValueError, match=r"`titles` must hold a name for each of the 3 results, got 2"):
        figure_comparison(three(), titles=["a", "b"])


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`surfaces` must hold at least one surface"):
        figure_comparison([])


@pytest.mark.parametrize("kind", ["filled", "surface"])
def test_the_same_numbers_give_the_same_files(kind, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    written = []
    for name in ("a@x=0.5", "b@x=0.5"):
        written.append(save_figure(figure_landscape(make_surface(with_gaps(bowl())), kind=kind), tmp_path / name))
    assert [path.name for path in written[0]] == ["a@x=0.5.pdf", "a@x=0.5.png", "a@x=0.5.txt"]
    for first, second in zip(*written, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_saved_pages_are_vectors_with_embedded_fonts_and_print_resolution(tmp_path: Path) -> None:
    pdf, png, _ = save_figure(figure_landscape(make_surface()), tmp_path / "page")
    content = pdf.read_bytes()
    assert b"/FontFile2" in content
    assert b"/Subtype /Type3" not in content
    assert b"/Subtype /Image" not in content
    assert b"CreationDate" not in content
    width = int.from_bytes(png.read_bytes()[16:20], "big")
    assert width == int(SINGLE_COLUMN * 300)


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    figure = figure_landscape(make_surface())
    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(OSError, match="no space left"):
        save_figure(figure, tmp_path / "page")
    assert not list(tmp_path.iterdir())
