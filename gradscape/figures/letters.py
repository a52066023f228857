"""Letters of any script: those that a text's font lacks come from another installed font, or are missing aloud."""

import logging
from collections.abc import Iterable
from functools import cache

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from gradscape._names import visible

__all__ = ["FONT", "make_legible", "place_everything", "text_size"]

FONT = "DejaVu Sans"

_NO_LETTER = "\N{WHITE SQUARE}"
_NO_FONTS = ("Last Resort", "cm", "STIX")  # placeholders, and parts of formulas that are no running text

_log = logging.getLogger(__name__)


def make_legible(drawn: Artist) -> None:
    """Give every text in a figure or axes fonts that have its letters; a letter that none has becomes a white square.

    What cannot be seen is spelled out: a control character would make an SVG file that no program reads.

    Args:
        drawn: What texts are looked for in.
    """
    for text in drawn.findobj(Text):
        assert isinstance(text, Text)
        if (spelled := visible(text.get_text())) != text.get_text():
            text.set_text(spelled)
        own = text.get_fontfamily()
        lacking = {letter for letter in text.get_text() if letter.isprintable()}.difference(*map(_letters, own))
        if not lacking:
            continue
        families, missing = _others("".join(sorted(lacking)))
        text.set_fontfamily([*own, *families])
        if missing:
            _say_missing(missing)
            text.set_text("".join(_NO_LETTER if letter in missing else letter for letter in text.get_text()))


def place_everything(figure: Figure) -> None:
    """Lay a figure out, with the letters that it will have, so that its places can be asked for.

    Args:
        figure: What is not drawn yet.
    """
    make_legible(figure)
    figure.draw_without_rendering()


def text_size(text: str, size: float, *, bold: bool = False) -> tuple[float, float]:
    """Width and height of a line of letters, in points of 1/72 inch.

    Args:
        text: The line.
        size: Of its letters, points.
        bold: Whether they are.
    """
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    width, height, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width), float(height)


@cache
def _letters(family: str) -> frozenset[str]:
    return _letters_of(findfont(FontProperties(family=[family])))


@cache
def _letters_of(path: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # a font that cannot be read has no letters
        return frozenset()


@cache
def _others(lacking: str) -> tuple[tuple[str, ...], str]:
    """Families that have these letters, as few as come first, and the letters that none has."""
    left, families = set(lacking), []
    for name, path in _candidates():
        if left & _letters_of(path):
            families.append(name)
            left -= _letters_of(path)
        if not left:
            break
    return tuple(families), "".join(sorted(left))


def _candidates() -> Iterable[tuple[str, str]]:
    """Upright fonts of ordinary weight, each family once, the house's own first."""
    regular = [one for one in fontManager.ttflist if one.style == "normal" and one.weight in (400, "normal", "regular")]
    files = {one.name: one.fname for one in regular if not one.name.startswith(_NO_FONTS)}
    return sorted(files.items(), key=lambda file: (file[0] != FONT, file))


@cache
def _say_missing(letters: str) -> None:
    _log.warning(
        "no installed font has the letters %s, drawn as %s: install one that has them, such as Noto Sans CJK for "
        "Chinese, Japanese and Korean",
        letters,
        _NO_LETTER,
    )
