import logging
import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from gradscape.figures import letters
from gradscape.figures.letters import make_legible
from gradscape.figures.style import save_figure, styled

CJK = "\u732b"  # a cat


@styled()
def page(text: str) -> Figure:
    figure = Figure()
    figure.add_subplot().set_title(text)
    return figure


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    letters._say_missing.cache_clear()
    letters._others.cache_clear()


def test_letters_of_the_houses_font_stay_as_they_are() -> None:
    title = page("ünï собака α $5").axes[0].title
    assert title.get_text() == "ünï собака α $5"
    assert title.get_fontfamily() == [letters.FONT]


def test_a_letter_that_no_font_has_is_said_once_and_drawn_as_a_square(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr(letters, "_candidates", list)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        figures = [page(f"a {CJK}"), page(CJK)]
        save_figure(figures[0], tmp_path / "page")
    assert figures[0].axes[0].title.get_text() == "a \u25a1"
    assert caplog.text.count("no installed font has the letters") == 1
    assert CJK in caplog.text


def test_what_was_written_into_a_figure_afterwards_is_saved_legibly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(letters, "_candidates", list)
    figure = page("plain")
    with styled():
        text = figure.text(0, 0, CJK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, tmp_path / "page")
    assert text.get_text() == "\u25a1"


def test_a_letter_comes_from_another_font_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_candidates", lambda: [("Without", "without.ttf"), ("With", "with.ttf")])
    monkeypatch.setattr(letters, "_letters_of", lambda path: frozenset(CJK if path == "with.ttf" else "ab"))
    monkeypatch.setattr(letters, "_letters", lambda _family: frozenset("ab "))
    figure = Figure()
    title = figure.add_subplot().set_title(f"a {CJK}", fontfamily=letters.FONT)
    make_legible(figure)
    assert title.get_fontfamily() == [letters.FONT, "With"]
    assert title.get_text() == f"a {CJK}"
