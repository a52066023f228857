"""Options of how pictures look: each changes something of what a command draws, or is refused in one line."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.cli import (
    attention,
    cam,
    compare,
    decision,
    evaluate,
    figure,
    fusion,
    landscape,
    line,
    plot,
    topology,
    tsne,
)
from gradscape.figures import Look, drawn_as, save_figure
from gradscape.landscape import Line, Surface
from gradscape.studies.papers.catalog import FIGURES
from gradscape.studies.stored import MEANINGS, draw_stored
from tests.cli.conftest import Command
from tests.figures.pages_of_all_kinds import PAGES

KEPT = Path(__file__).parents[1] / "kept"
SURFACE, LINE = KEPT / "surface.h5", KEPT / "line.h5"

GIVEN: dict[str, Any] = {
    "caption": True,
    "title": "a title",
    "cmap": "gray",
    "camera": (20.0, 50.0),
    "zmin": 2.28,
    "zmax": 2.32,
    "levels": 4,
    "width": 100.0,
    "font": "DejaVu Serif",
    "style": "x.mplstyle",
    "format": ("svg",),
}

COMMANDS: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "landscape": (landscape.landscape, ("contour", "surface")),
    "line": (line.line, ("line",)),
    "compare": (compare.compare, ("measures",)),
    "topology": (topology.topology, ("topology",)),
    "cam": (cam.cam, ("heatmaps",)),
    "attention": (attention.attention, ("attention", "channels")),
    "fusion": (fusion.fusion, ("fusion",)),
    "tsne": (tsne.tsne, ("embedding",)),
    "decision": (decision.decision, ("decisions",)),
    "evaluate": (evaluate.evaluate, ("confusion",)),
    "figure": (figure.figure, ("reliefs", "heatmaps")),
}
"""Each drawing command, and the kinds of pages that it draws."""


def offered(command: Callable[..., None]) -> list[str]:
    """Those of the options of a look that a command has."""
    return [name for name in inspect.signature(command).parameters if name in GIVEN]


def chosen(option: str, folder: Path) -> Look:
    """A look with one option given."""
    value = GIVEN[option]
    if option == "style":
        value = folder / value
        value.write_text("axes.linewidth: 3\naxes.edgecolor: red\nfont.weight: bold\nimage.cmap: gray\n")
    return Look(**{option: value})


@cache
def plain(kind: str) -> bytes:
    return pixels(kind, Look())


def pixels(kind: str, look: Look) -> bytes:
    from gradscape.figures.style import picture_bytes

    with drawn_as(look):
        return picture_bytes(PAGES[kind](), dots=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "option"), [(name, option) for name, (command, _) in COMMANDS.items() for option in offered(command)]
)
def test_every_option_that_a_command_offers_changes_its_pictures(name: str, option: str, tmp_path: Path) -> None:
    look = chosen(option, tmp_path)
    if option == "format":
        with drawn_as(look):
            assert [path.name for path in save_figure(PAGES["line"](), tmp_path / "x")] == ["x.svg", "x.txt"]
        return
    assert any(pixels(kind, look) != plain(kind) for kind in COMMANDS[name][1])


def test_options_are_offered_only_where_they_mean_something() -> None:
    everywhere = {"caption", "title", "width", "font", "style", "format"}
    assert all(everywhere <= {*offered(command)} for command, _ in COMMANDS.values())
    assert {*offered(plot.plot)} == {*offered(landscape.landscape)} == {*GIVEN}
    more = {name: {*offered(command)} - everywhere for name, (command, _) in COMMANDS.items() if name != "landscape"}
    assert more == {
        "line": {"zmin", "zmax"},
        "compare": set(),
        "topology": {"cmap", "zmin", "zmax", "levels"},
        "cam": {"cmap"},
        "attention": {"cmap"},
        "fusion": {"cmap"},
        "tsne": set(),
        "decision": set(),
        "evaluate": {"cmap"},
        "figure": {"cmap", "camera", "zmin", "zmax"},
    }


@cache
def stored(kind: str) -> tuple[Surface | Line, Path]:
    return (Line.load(LINE), LINE) if kind == "line" else (Surface.load(SURFACE), SURFACE)


def draw(kind: str, output: Path, **asked: Any) -> list[Path]:
    result, file = stored(kind)
    return draw_stored([result], [file], output, kind=None if kind == "line" else kind, **asked)


@pytest.fixture(scope="module")
def stored_plain(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """What each kind of picture of stored results is without any choice."""
    folder = tmp_path_factory.mktemp("plain")
    drawn = {}
    for kind in MEANINGS:
        with drawn_as(Look() if kind == "interactive" else Look(format=("png",))):
            drawn[kind] = draw(kind, folder / kind)[0].read_bytes()
    return drawn


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEANINGS)
@pytest.mark.parametrize("option", GIVEN)
def test_every_option_of_plot_changes_the_picture_or_is_refused(
    kind: str, option: str, tmp_path: Path, stored_plain: Mapping[str, bytes]
) -> None:
    look = chosen(option, tmp_path)
    if option not in MEANINGS[kind]:
        with drawn_as(look), pytest.raises(ValueError, match=f"`--{option}` changes nothing of .*leave it out"):
            draw(kind, tmp_path / "x")
        assert not list(tmp_path.glob("x.p*"))
        return
    if kind != "interactive" and option != "format":
        look = Look(**{option: getattr(look, option)}, format=("png",))
    with drawn_as(look):
        (first, *_) = draw(kind, tmp_path / "x")
    assert first.suffix == (".html" if kind == "interactive" else ".svg" if option == "format" else ".png")
    assert first.read_bytes() != stored_plain[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEANINGS)
@pytest.mark.parametrize("asked", [{"value": "error"}, {"scale": "log"}, {"scale": "minmax"}, {"value": "stderr"}])
def test_values_and_scales_of_plot_change_the_picture_or_are_refused(
    kind: str, asked: dict[str, str], tmp_path: Path, stored_plain: Mapping[str, bytes]
) -> None:
    if kind == "line" and asked != {"scale": "log"}:
        with pytest.raises(ValueError, match=r"`--value` is for surfaces|`--scale` of a line must be raw or log"):
            draw(kind, tmp_path / "x", **asked)
        return
    with drawn_as(Look() if kind == "interactive" else Look(format=("png",))):
        assert draw(kind, tmp_path / "x", **asked)[0].read_bytes() != stored_plain[kind]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("x.png", ["x.png", "x.txt"]),
        ("x.PDF", ["x.pdf", "x.txt"]),
        ("x.svg", ["x.svg", "x.txt"]),
        ("x.html", ["x.html"]),
        ("ep0.5", ["ep0.5.pdf", "ep0.5.png", "ep0.5.txt"]),
    ],
)
def test_the_name_of_a_picture_says_its_format(
    gradscape: Command, name: str, written: list[str], tmp_path: Path
) -> None:
    done = gradscape("plot", SURFACE, "-o", tmp_path / name)
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SURFACE, "-o", "x.jpg"), "`--output` must end in pdf, png or svg for `--kind filled`, got x.jpg"),
        ((SURFACE, "--kind", "interactive", "-o", "x.png"), "`--output` must end in html for an interactive page"),
        ((SURFACE, "--kind", "heat", "-o", "x.html"), "`--output` must end in pdf, png or svg for `--kind heat`"),
        ((LINE, "-o", "x.html"), "`--output` must end in pdf, png or svg for a line, got x.html"),
        ((LINE, "--kind", "surface"), "`--kind` is for surfaces; a line has one kind of picture"),
        ((SURFACE, "--kind", "reliev"), "`--kind` must be one of contour, filled, heat, surface, interactive"),
        ((SURFACE, "--format", "svg", "-o", "x.pdf"), "`--format svg` and `--output x.pdf` differ"),
        ((SURFACE, "--scale", "minmax", "--zmax", 1), "`--zmax` is a value as it is, and `--scale minmax` draws all"),
        ((SURFACE, "--scale", "minmax", "--levels", "1,2"), "`--levels` is a value as it is"),
        ((SURFACE, "--scale", "log", "--zmin", 0), "`--zmin` must be positive on a log scale, got 0"),
        ((SURFACE, "--kind", "interactive", "--scale", "minmax-column"), "`--scale` of an interactive page must be"),
        ((LINE, "--zmin", 100), "`--zmin` and `--zmax` must leave something to draw, got 100 to "),
        ((SURFACE, "--zmax", 1), "`--zmin` and `--zmax` must leave something to draw, got 2.26789 to 1 for the loss"),
        ((SURFACE, "--camera", "1"), "`--camera` must be AZ,EL in degrees, such as -55,32, got '1'"),
        ((SURFACE, "--levels", "many"), "`--levels` must be a number of contours, or values such as 0.1,1,10"),
        ((SURFACE, "--cmap", "virdis"), "unknown `--cmap` 'virdis'; did you mean viridis"),
        ((SURFACE, "--width", "triple"), "`--width` must be single (85 mm), double (178 mm) or 40 to 500 mm"),
        ((SURFACE, "--font", "DejaVu Sens"), "unknown `--font` 'DejaVu Sens'; did you mean"),
        ((SURFACE, "--style", "nowhere.mplstyle"), "there is no style file nowhere.mplstyle"),
        ((SURFACE, "--format", "jpg"), "`--format` must be of pdf, png, svg, got jpg"),
    ],
)
def test_what_plot_cannot_do_is_one_line(
    gradscape: Command, arguments: tuple[object, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = gradscape("plot", *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.png", "x.pdf", "x.svg", "x.html"])
def test_a_folder_is_not_called_like_a_picture(gradscape: Command, name: str, tmp_path: Path) -> None:
    done = gradscape("compare", SURFACE, "-o", tmp_path / name)
    assert done.code == 2
    assert "`--output` is a folder, in which pictures have names of their own" in done.err
    (tmp_path / "runs.png").mkdir()
    assert "`--output`" not in gradscape("compare", "nowhere.h5", "-o", tmp_path / "runs.png").err


def test_a_figure_of_a_paper_refuses_what_changes_nothing_of_it(gradscape: Command, tmp_path: Path) -> None:
    done = gradscape("figure", "upanets:10", "--camera", "1,2", "-o", tmp_path)
    assert done.code == 2
    assert "`--camera` changes nothing of upanets:10" in done.err
    assert not list(tmp_path.iterdir())
    assert all({"caption", "title", "width", "font", "style", "format"} <= one.choices for one in FIGURES.values())
    assert "cmap" not in FIGURES["ba2m:1"].choices
    assert "zmin" not in FIGURES["upanets:8"].choices
    assert {"cmap", "camera", "zmin", "zmax"} <= FIGURES["upanets:13"].choices


def test_a_figure_of_a_paper_has_title_format_and_caption(gradscape: Command, tmp_path: Path) -> None:
    done = gradscape("figure", "upanets:10", "--title", "Mine", "--format", "svg", "--caption", "-o", tmp_path)
    assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["upanets_10.npz", "upanets_10.svg", "upanets_10.txt"]
    assert "<!-- Mine -->" in (tmp_path / "upanets_10.svg").read_text()
    assert "in the paper" in (tmp_path / "upanets_10.txt").read_text()


def test_cam_takes_its_own_styles_and_a_style_file(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "x.mplstyle").write_text("axes.labelcolor: red\n")
    command = ("cam", checkpoint, "--images", tmp_path / "a.png", "--format", "svg", "-q", "-o", tmp_path / "out")
    drawn = {}
    for name, styles in {"plain": (), "masked": ("masked",), "both": ("masked", tmp_path / "x.mplstyle")}.items():
        done = gradscape(*command, *(part for style in styles for part in ("--style", style)))
        assert done.code == 0, done.err
        drawn[name] = (tmp_path / "out" / "cam.svg").read_text()
    assert len({*drawn.values()}) == 3
    assert "#ff0000" in drawn["both"]
    assert (
        "`--style` must be one of overlay, heatmap, masked and one style file at most"
        in gradscape(*command, "--style", "masked", "--style", "overlay").err
    )
