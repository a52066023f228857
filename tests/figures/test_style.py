import re
import zlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from gradscape.figures import figure_comparison, figure_landscape, figure_scaled
from gradscape.figures.style import (
    CYCLE,
    DOUBLE_COLUMN,
    LINE_STYLES,
    SINGLE_COLUMN,
    colormap,
    line_colormap,
    new_axes,
    save_figure,
    styled,
)
from tests.figures.results import bowl, make_surface


def luminance(color: Any) -> float:
    """Relative luminance of sRGB (WCAG)."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def seen_with(deficiency: str, color: Any) -> np.ndarray:
    """Linear RGB as a dichromat sees it, by Viénot, Brettel and Mollon (1999)."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    lost = {
        "protan": np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]]),
        "deutan": np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]]),
    }[deficiency]
    return np.asarray(np.linalg.solve(to_lms, lost @ to_lms @ linear))


def page():  # type: ignore[no-untyped-def]
    return figure_scaled([make_surface(model="α²-net"), make_surface(bowl(3), model="b")], kind="filled")


def pdf_objects(path: Path) -> list[bytes]:
    """The objects of a PDF, those in compressed object streams too."""
    raw = path.read_bytes()
    found = re.findall(rb"\d+ 0 obj(.*?)endobj", raw, flags=re.DOTALL)
    for one in list(found):
        if b"/ObjStm" in one:
            found.append(zlib.decompress(one.split(b"stream\n", 1)[1].rsplit(b"\nendstream", 1)[0]))
    return found


@pytest.mark.slow
def test_every_font_of_a_pdf_is_embedded_as_truetype(tmp_path: Path) -> None:
    path = save_figure(page(), tmp_path / "page")[0]
    objects = pdf_objects(path)
    descriptors = [one for one in objects if b"/FontDescriptor" in one and b"/FontName" in one and b"/Flags" in one]
    assert descriptors
    for descriptor in descriptors:
        assert b"/FontFile2" in descriptor
    fonts = [one for one in objects if re.search(rb"/Type\s*/Font\b", one) and b"/Subtype" in one]
    assert len(fonts) >= len(descriptors)
    for font in fonts:  # a composite font has its descriptor in the descendant
        assert b"/FontDescriptor" in font or b"/DescendantFonts" in font
        assert not re.search(rb"/Subtype\s*/(Type1|Type3)\b", font)


@pytest.mark.slow
def test_contours_of_a_pdf_are_curves_and_no_pictures(tmp_path: Path) -> None:
    raw = save_figure(page(), tmp_path / "page")[0].read_bytes()
    assert not re.search(rb"/Subtype\s*/Image", raw)


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "inches"), [(1, SINGLE_COLUMN), (2, DOUBLE_COLUMN)])
def test_a_png_has_300_dots_an_inch_over_one_or_both_columns(columns: int, inches: float, tmp_path: Path) -> None:
    surfaces = [make_surface(model=str(number)) for number in range(columns)]
    figure = figure_landscape(surfaces[0]) if columns == 1 else figure_comparison(surfaces)
    with Image.open(save_figure(figure, tmp_path / "page")[1]) as image:
        assert image.width == int(300 * inches)
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.5)


def test_lines_are_told_apart_without_any_color() -> None:
    with styled():
        ax = new_axes()
        lines = [ax.plot([0, number])[0] for number in range(len(CYCLE))]
    assert len(LINE_STYLES) == len(CYCLE)
    assert len({str(line.get_linestyle()) + str(line._dash_pattern) for line in lines}) == len(CYCLE)  # type: ignore[attr-defined]
    assert [line.get_color() for line in lines] == list(CYCLE)


@pytest.mark.parametrize("deficiency", ["protan", "deutan"])
def test_colors_of_the_cycle_differ_for_color_blind_readers(deficiency: str) -> None:
    seen = np.array([seen_with(deficiency, color) for color in CYCLE])
    apart = np.linalg.norm(seen[:, None] - seen, axis=-1) + np.eye(len(CYCLE))
    assert apart.min() > 0.05


def test_colors_of_the_cycle_stand_out_from_paper() -> None:
    assert all(1.05 / (luminance(color) + 0.05) > 2 for color in CYCLE)


@pytest.mark.parametrize("value", ["loss", "error", "anything else"])
def test_color_maps_grow_lighter_with_the_value(value) -> None:  # type: ignore[no-untyped-def]
    for colors in (colormap(value), line_colormap(value)):
        grey = [luminance(colors(step / 255)[:3]) for step in range(256)]
        assert (np.diff(grey) >= -1e-3).all()
        assert grey[-1] - grey[0] > 0.4


@pytest.mark.parametrize("deficiency", ["protan", "deutan"])
def test_signed_colors_tell_their_ends_and_their_middle_apart_for_color_blind_readers(deficiency: str) -> None:
    colors = colormap("difference", signed=True)
    low, middle, high = (seen_with(deficiency, to_hex(colors(place))) for place in (0.0, 0.5, 1.0))
    assert min(np.linalg.norm(low - high), np.linalg.norm(low - middle), np.linalg.norm(middle - high)) > 0.3


def test_signed_colors_are_lightest_in_the_middle_and_lines_stand_out_from_paper() -> None:
    grey = [luminance(colormap("difference", signed=True)(step / 255)[:3]) for step in range(256)]
    assert (np.diff(grey[:128]) >= -1e-3).all()
    assert (np.diff(grey[136:]) <= 1e-3).all()
    lines = line_colormap("difference", signed=True)
    assert all(1.05 / (luminance(lines(step / 255)[:3]) + 0.05) > 2 for step in range(256))


@pytest.mark.slow
def test_the_users_own_settings_come_back(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    save_figure(page(), tmp_path / "page")
    assert dict(mpl.rcParams) == before
