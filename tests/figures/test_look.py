import re
import socket
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.text import Text
from mpl_toolkits.mplot3d.axes3d import Axes3D  # type: ignore[import-untyped]
from PIL import Image

from gradscape.explain.attention_map import AttentionMap
from gradscape.figures import (
    Look,
    drawn_as,
    figure_channel_weights,
    figure_comparison,
    figure_embeddings,
    figure_landscape,
    interactive_surface,
    save_figure,
)
from gradscape.figures.caption import caption_of
from gradscape.figures.look import current_look
from tests.figures.pages_of_all_kinds import PAGES, SECRET, embedding, surface
from tests.figures.results import make_surface


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def written_texts(figure: Figure) -> Iterator[Text]:
    """Every text that is seen."""
    texts: list[Any] = figure.findobj(Text)
    return (text for text in texts if _seen(text))


def _seen(text: Text) -> bool:
    inside = text.axes is None or (text.axes.get_visible() and text.axes.axison)
    return bool(text.get_text().strip()) and text.get_visible() and inside


def page_size(pdf: Path) -> tuple[float, float]:
    """Width and height in millimeters, as the file has them."""
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", pdf.read_bytes())
    assert box
    return float(box[1]) / 72 * 25.4, float(box[2]) / 72 * 25.4


@cache
def drawn_page(kind: str, **chosen: Any) -> Figure:
    """A page, drawn once for all tests that look at it."""
    with drawn_as(Look(**chosen)):
        return drawn(PAGES[kind]())


TITLE = "A $ title\nthat is far too long for one line, so that it must be broken " * 2
OF_DATA = {
    "contour",
    "filled",
    "heat",
    "surface",
    "difference",
    "scaled",
    "comparison",
    "reliefs",
    "topology",
    "line",
    "embedding",
}
ASKED: Any = {"caption": True, "title": TITLE}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize(("width", "millimeters"), [("single", 85), ("double", 178)])
def test_a_page_is_exactly_as_wide_as_was_asked_for_with_no_letter_below_seven_points(
    kind: str, width: str, millimeters: float, tmp_path: Path
) -> None:
    figure = drawn_page(kind, width=width, **ASKED)
    with drawn_as(Look(format=("pdf",))):
        assert page_size(save_figure(figure, tmp_path / "page")[0])[0] == pytest.approx(millimeters, abs=0.01)
    sizes = {text.get_text(): float(text.get_fontsize()) for text in written_texts(figure)}
    small = {text: size for text, size in sizes.items() if size < 7}
    assert small == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAGES)
def test_no_file_says_where_data_lie_or_who_drew_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "reviewed-author")
    monkeypatch.setattr(socket, "gethostname", lambda: "reviewed-host")
    figure = drawn_page(kind, width="single", **ASKED)
    with drawn_as(Look(format=("pdf", "png", "svg"))):
        written = save_figure(figure, tmp_path / "page")
    assert [path.suffix for path in written] == [".pdf", ".png", ".svg", ".txt"]
    contents = [path.read_bytes() for path in written] + [text.get_text().encode() for text in figure.findobj(Text)]
    secrets = [SECRET, "reviewed-", str(tmp_path), str(Path.cwd())]
    for content in contents:
        assert not [secret for secret in secrets if secret.encode() in content]
    with Image.open(written[1]) as picture:
        assert picture.info.keys() <= {"Software", "dpi"}
    assert ("garden_birds" in caption_of(figure)) == (kind in OF_DATA)


def test_a_web_page_says_the_datas_name_and_not_where_they_lie() -> None:
    page = interactive_surface(surface())
    assert "garden_birds (train)" in page
    assert SECRET not in page


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAGES)
def test_a_caption_is_drawn_only_where_it_was_asked_for(kind: str, tmp_path: Path) -> None:
    plain, captioned = drawn_page(kind), drawn_page(kind, width="single", **ASKED)
    assert caption_of(plain) == caption_of(captioned) != ""
    unseen, seen = (
        next(text for text in figure.texts if text.get_text() == figure.get_supxlabel())
        for figure in (plain, captioned)
    )
    assert not unseen.get_visible()
    assert seen.get_visible()
    box = seen.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= captioned.bbox.width
    with drawn_as(Look(format=("svg",))):
        assert save_figure(plain, tmp_path / "page")[-1].read_text() == f"{caption_of(plain)}\n"


@pytest.mark.parametrize("kind", PAGES)
def test_a_title_stands_above_everything_on_the_page(kind: str) -> None:
    page = drawn_page(kind, width="single", **ASKED)
    title = next(text for text in page.texts if text.get_text() == page.get_suptitle())
    box = title.get_window_extent()
    assert "$" in title.get_text()
    assert 0 <= box.x0 < box.x1 <= page.bbox.width
    assert box.y1 <= page.bbox.height
    # Axes of a relief reach above what they show.
    others = [*(ax for ax in page.axes if not isinstance(ax, Axes3D)), *page.legends]
    highest = [one.get_tightbbox(page.canvas.get_renderer()) for one in others]  # type: ignore[attr-defined]
    assert all(other is None or other.y1 <= box.y0 + 1 for other in highest)


def test_a_chosen_color_map_takes_the_place_of_the_usual_one_also_for_lines() -> None:
    with drawn_as(Look(cmap="gray_r")):
        lines = figure_landscape(surface(), kind="contour")
        cells = figure_landscape(surface(), kind="heat")
        page = interactive_surface(surface())
    (contours,) = (artist for artist in lines.axes[0].collections if isinstance(artist, ContourSet))
    colors: Any = np.asarray(contours.get_edgecolor())
    assert np.ptp(colors[:, :3], axis=1).max() < 1e-6
    assert colors[:, :3].max() < 0.9  # white on white would not be seen
    assert cells.axes[0].collections[0].get_cmap().name == "gray_r"
    assert '[0.0,"#ffffff"]' in page.replace(" ", "")


def test_limits_and_levels_are_those_of_the_field_that_they_were_chosen_for() -> None:
    with drawn_as(Look(zmin=1.0, zmax=4.0, levels=(1.0, 2.0, 4.0))):
        mesh, error = (
            figure_landscape(surface(), kind="heat", value=value).axes[0].collections[0] for value in ("loss", "error")
        )
        scaled = figure_landscape(surface(), kind="heat", scale="minmax").axes[0].collections[0]
        filled = figure_landscape(surface(), kind="filled").axes[0].collections
    assert mesh.get_clim() == (1, 4)
    assert error.get_clim() == pytest.approx((10, 40))
    assert scaled.get_clim() == (0, 1)
    (contours,) = (artist for artist in filled if isinstance(artist, ContourSet))
    assert list(contours.levels) == [1, 2, 4]


def test_one_limit_leaves_the_other_where_it_was() -> None:
    with drawn_as(Look(zmax=2.0)):
        assert figure_landscape(surface(), kind="heat").axes[0].collections[0].get_clim() == (0.5, 2)
    with drawn_as(Look(zmin=-1.0)):
        low, high = figure_landscape(surface(), kind="heat", scale="log").axes[0].collections[0].get_clim()
    assert (low, high) == (0.5, bowl_top())


def bowl_top() -> float:
    return float(surface().loss.max())


def test_a_difference_keeps_its_zero_in_the_middle_of_its_colors() -> None:
    field = surface().difference(surface()).field(("a", "b"))
    with drawn_as(Look(zmax=0.5, limited="loss_difference")):
        assert figure_landscape(field, kind="heat").axes[0].collections[0].get_clim() == (-0.5, 0.5)


@pytest.mark.parametrize("chosen", [{"zmin": -1.0, "zmax": 2.0}, {"zmin": 0.5}, {"zmax": -0.5}])
def test_limits_that_would_move_the_zero_of_a_difference_are_refused(chosen: Any) -> None:
    field = surface().difference(surface()).field(("a", "b"))
    with (
        drawn_as(Look(limited="loss_difference", **chosen)),
        pytest.raises(ValueError, match="`--zmin` and `--zmax` of the loss difference must be as far below 0 as above"),
    ):
        figure_landscape(field, kind="heat")


def test_no_line_is_drawn_beyond_the_limits() -> None:
    with drawn_as(Look(zmax=4.5, levels=(1.0, 2.0, 4.0, 5.0))):
        axes = figure_landscape(surface(), kind="contour").axes[0]
    (contours,) = (artist for artist in axes.collections if isinstance(artist, ContourSet))
    assert list(contours.levels) == [1, 2, 4]


def test_a_panel_without_a_line_is_called_flat_only_where_it_is() -> None:
    with drawn_as(Look(levels=(500.0, 600.0))):
        (said,) = (text.get_text() for text in figure_landscape(surface(), kind="contour").axes[0].texts)
    assert said.startswith("no contour between 0.5 and ")


@pytest.mark.slow
@pytest.mark.parametrize("camera", [(30.0, 20.0), (150.0, 40.0), (-55.0, 32.0), (-120.0, 10.0)])
@pytest.mark.parametrize("width", [40.0, 60.0, "single"])
def test_a_relief_has_all_its_labels_on_the_page_from_wherever_it_is_seen(camera: Any, width: Any) -> None:
    small = make_surface(1e-5 + 10 * surface().loss)
    with drawn_as(Look(camera=camera, width=width)):
        figure = drawn(figure_landscape(small, kind="surface", scale="log"))
    relief: Any = figure.axes[0]
    boxes = [axis.get_tightbbox() for axis in (relief.xaxis, relief.yaxis, relief.zaxis)]
    assert min(box.x0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_numbers_of_a_short_color_bar_have_room() -> None:
    wide = make_surface(np.geomspace(1e-3, 1e3, surface().loss.size).reshape(surface().loss.shape))
    with drawn_as(Look(width=60.0, title="title")):
        figure = drawn(figure_landscape(wide, kind="filled"))
    boxes = [text.get_window_extent() for text in figure.axes[1].get_yticklabels() if text.get_text()]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(heights) >= 3
    assert all(low[1] <= high[0] for low, high in pairwise(heights))


def test_numbers_below_narrow_panels_do_not_touch() -> None:
    with drawn_as(Look(width=110.0)):
        figure = drawn(figure_comparison([surface(), surface(model="other")], kind="filled"))
    labels = [text for ax in figure.axes[:2] for text in ax.get_xticklabels() if text.get_text()]
    spans = sorted((text.get_window_extent().x0, text.get_window_extent().x1) for text in labels)
    assert len(spans) >= 4
    assert all(left[1] + 2 < right[0] for left, right in pairwise(spans))


def test_limits_that_leave_nothing_are_refused() -> None:
    with drawn_as(Look(zmin=500.0)), pytest.raises(ValueError, match="`--zmin` and `--zmax` must leave something to"):
        figure_landscape(surface())


@pytest.mark.parametrize("count", [4, 8, 20])
@pytest.mark.parametrize("scale", ["raw", "log"])
def test_about_as_many_levels_are_drawn_as_were_asked_for(count: int, scale: Any) -> None:
    with drawn_as(Look(levels=count)):
        figure = figure_landscape(surface(), kind="filled", scale=scale)
    (contours,) = (artist for artist in figure.axes[0].collections if isinstance(artist, ContourSet))
    assert 0.5 * count <= len(list(contours.levels)) - 1 <= 1.5 * count + 1


def test_a_relief_and_its_page_are_seen_from_the_chosen_side() -> None:
    with drawn_as(Look(camera=(30.0, 60.0))):
        relief: Any = figure_landscape(surface(), kind="surface").axes[0]
        eye = re.search(r'"eye": \{"x": ([-\d.]+), "y": ([-\d.]+), "z": ([-\d.]+)\}', interactive_surface(surface()))
    assert (relief.azim, relief.elev) == (30, 60)
    assert eye
    x, y, z = map(float, eye.groups())
    assert np.degrees([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))]) == pytest.approx([30, 60])


def test_panels_stand_below_each_other_where_a_page_is_too_narrow() -> None:
    with drawn_as(Look(width="single")):
        reliefs = drawn(figure_comparison([surface(), surface(model="other")], kind="surface"))
    first, second = (ax.get_position() for ax in reliefs.axes if ax.get_title())
    assert first.x0 == second.x0
    assert first.y0 > second.y1 - 0.1


def test_a_font_is_that_of_every_letter() -> None:
    with drawn_as(Look(font="DejaVu Serif", caption=True, title="title")):
        figure = drawn(PAGES["comparison"]())
    assert {text.get_fontfamily()[0] for text in written_texts(figure)} == {"DejaVu Serif"}


def test_a_style_file_takes_the_place_of_the_houses_settings(tmp_path: Path) -> None:
    file = tmp_path / "paper.mplstyle"
    file.write_text("axes.edgecolor: red\nimage.cmap: cividis\nsavefig.bbox: tight\nbackend: svg\nfont.family: serif\n")
    before = dict(mpl.rcParams)
    with drawn_as(Look(style=file, width="single", format=("pdf",), font="monospace")):
        figure = drawn(figure_landscape(surface(), kind="heat"))
        pdf, _ = save_figure(figure, tmp_path / "page")
    assert figure.axes[0].spines["left"].get_edgecolor() == (1, 0, 0, 1)
    assert figure.axes[0].collections[0].get_cmap().name == "cividis"
    assert figure.axes[0].xaxis.label.get_fontfamily() == ["monospace"]
    assert page_size(pdf)[0] == pytest.approx(85, abs=0.01)
    assert dict(mpl.rcParams) == before


def test_the_same_numbers_give_the_same_svg(tmp_path: Path) -> None:
    with drawn_as(Look(format=("svg",))):
        svgs = [save_figure(PAGES["filled"](), tmp_path / name)[0] for name in "ab"]
    assert svgs[0].read_bytes() == svgs[1].read_bytes()
    assert b"<svg" in svgs[0].read_bytes()


def test_what_was_chosen_holds_inside_of_the_block_alone() -> None:
    look = Look(title="inside")
    with drawn_as(look):
        assert current_look() is look
    assert current_look() == Look()
    assert current_look().given == []
    assert Look(zmax=1.0, format=("svg",)).given == ["zmax", "format"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"cmap": "virdis"}, r"unknown `cmap` 'virdis'; did you mean viridis"),
        ({"font": "DejaVu Sens"}, r"unknown `font` 'DejaVu Sens'; did you mean .*DejaVu Sans"),
        ({"camera": (0.0, 91.0)}, r"`camera` must be azimuth and elevation in degrees.*got 0,91"),
        ({"zmin": 2.0, "zmax": 1.0}, r"`zmin` must be below zmax, got 2 and 1"),
        ({"zmax": np.nan}, r"`zmax` must be a finite number, got nan"),
        ({"levels": 1}, r"`levels` must be 2 to 100 contours, got 1"),
        ({"levels": (1.0,)}, r"`levels` must be a number of contours, or at least two values"),
        ({"levels": (2.0, 1.0)}, r"`levels` must be .* that ascend, such as 0.1,1,10; got 2,1"),
        ({"width": "triple"}, r"`width` must be single \(85 mm\), double \(178 mm\) or 40 to 500 mm, got triple"),
        ({"width": 20.0}, r"`width` must be .* got 20"),
        ({"format": ("pdf", "jpg")}, r"`format` must be of pdf, png, svg, got jpg"),
        ({"format": ()}, r"`format` must be of pdf, png, svg, got none"),
    ],
)
def test_what_is_impossible_is_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Look(**chosen)


def test_a_style_file_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no style file"):
        Look(style=tmp_path / "nowhere.mplstyle")
    file = tmp_path / "x.mplstyle"
    for content, message in (
        (b"\x89HDF", "is no Matplotlib style file"),
        (b"axes.linewidth: thick", "is no Matplotlib style file"),
        (b"# nothing", "sets nothing of how pictures look"),
    ):
        file.with_stem(message.split(maxsplit=1)[0] + str(len(content))).write_bytes(content)
        with pytest.raises(ValueError, match=message):
            Look(style=file.with_stem(message.split(maxsplit=1)[0] + str(len(content))))


def test_panels_of_channels_and_embeddings_are_wide_enough_for_their_numbers() -> None:
    weights = {
        f"layer1.{number}.se.channel": AttentionMap(
            f"layer1.{number}.se.channel", f"layer1.{number}.se", "channel", np.random.default_rng(0).random((3, 8))
        )
        for number in range(6)
    }
    with drawn_as(Look(width="single")):
        strips = drawn(figure_channel_weights(weights))
        several = drawn(figure_embeddings([embedding(), embedding()]))
    assert len({round(ax.get_position().x0, 2) for ax in strips.axes if ax.images}) == 1
    panels = [ax for ax in several.axes if ax.get_xlabel()]
    assert all(ax.get_position().width * 85 / 25.4 > 2 for ax in panels)
