"""Drawings whose every name is an attack: in svg and pdf files names are text, and nothing runs or leads elsewhere."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape.figures import Look, drawn_as, figure_comparison, figure_embeddings, figure_line, save_figure
from tests.figures.charts.test_embedding import make_embedding
from tests.figures.results import ALPHAS, bowl, make_line, make_surface

SHORT = "</text><script>run()</script> --> ]]> (( $\\frac$ \x1b[1m \u202e \udcff"
EVIL = f"{SHORT} <a href='javascript:run()'> \\input{{/etc/passwd}} /JavaScript (run()) %s {{7*7}}"
ABOUT: dict[str, Any] = {"model": EVIL, "data": EVIL, "loss": EVIL, "split": EVIL}


def comparison() -> Figure:
    return figure_comparison([make_surface(**ABOUT), make_surface()], titles=[EVIL, "other"], kind="filled")


def line() -> Figure:
    found = make_line(bowl()[2], bowl()[2] / 100, ALPHAS)
    return figure_line(replace(found, meta={**found.meta, **ABOUT, "other": EVIL}))


def embedding() -> Figure:
    classes = tuple(f"{number} {SHORT}" for number in range(3))
    return figure_embeddings([replace(make_embedding(classes=3), classes=classes, meta=ABOUT)], [EVIL])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "letters"), [(comparison, "path"), (comparison, "none"), (line, "none"), (embedding, "none")]
)
def test_names_in_drawings_are_text(draw: Any, letters: str, tmp_path: Path) -> None:
    style = tmp_path / "own.mplstyle"
    style.write_text(f"svg.fonttype: {letters}\ntext.usetex: True\nsvg.image_inline: False\n")
    with drawn_as(Look(format=("svg", "pdf"), style=style, title=SHORT, caption=True)):
        drawing, printed, caption = save_figure(draw(), tmp_path / "page")
    root = ElementTree.parse(drawing).getroot()
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "a", "foreignObject", "set", "animate"}
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.rpartition("}")[2].startswith("on")
            assert "href" not in name or re.match("#|data:image/png", value)
            assert not re.search(r"url\((?!#)", value)
    if letters == "none":
        assert one_line(SHORT) in " ".join("".join(element.itertext()) for element in root.iter())
    assert one_line(SHORT) in caption.read_text(encoding="utf-8")
    assert not re.search(rb"/(JavaScript|JS|URI|Launch|OpenAction|Title|EmbeddedFile)\b", printed.read_bytes())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.mplstyle", "page.pdf", "page.svg", "page.txt"]
