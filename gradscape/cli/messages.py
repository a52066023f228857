"""What the program says of a mistake: one line that a person can read to its end, whatever was typed."""

import logging
import re
from typing import final

from gradscape._names import one_line

__all__ = ["Lines", "readable", "shorten_cache_warning"]

_LONGEST_WORD = 200
_LONGEST = 900
_ENDING = 300  # of which: what to do comes last


def readable(text: object) -> str:
    """Put a message on one line, long values shortened in their middle, control characters spelled.

    Args:
        text: The message; a value in it may be of any length and hold anything.

    Returns:
        Less than 1,000 characters, of which a terminal takes none as a command.
    """
    line = one_line(text)
    line = re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: _shortened(word.group(), _LONGEST_WORD // 3), line)
    return line if len(line) <= _LONGEST else _shortened(line, _ENDING)


@final
class Lines(logging.Formatter):
    """Warnings, as readable as mistakes."""

    def format(self, record: logging.LogRecord) -> str:
        """Put a warning on one line."""
        return readable(record.getMessage())


def shorten_cache_warning(record: logging.LogRecord) -> bool:
    """A filter for Matplotlib, which says in three sentences and twice that it has no folder for what it remembers.

    Args:
        record: A warning of its logger; it is changed.

    Returns:
        Whether it is to be told.
    """
    text = record.getMessage()
    if text.startswith("Matplotlib created a temporary cache"):
        record.msg = "Matplotlib has no folder for its cache: MPLCONFIGDIR can name one, and pictures come sooner"
        record.args = ()
    return not text.startswith("mkdir -p failed")


def _shortened(text: str, ending: int) -> str:
    beginning = (_LONGEST_WORD if ending < _LONGEST_WORD else _LONGEST) - ending
    return f"{text[:beginning]}…[{len(text) - beginning - ending} more]…{text[-ending:]}"
