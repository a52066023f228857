"""How a notebook shows surfaces and lines: a picture, and beside it what they are in five lines."""

import base64

from gradscape.figures.style import picture_bytes
from gradscape.figures.surfaces.lines import figure_line
from gradscape.figures.surfaces.pages import figure_landscape
from gradscape.figures.web.pages import render_piece
from gradscape.landscape import Line, Surface

__all__ = ["notebook_html"]

_DOTS = 200  # an inch: sharp on a screen of twice the usual density
_WIDTH = 380  # pixels


def notebook_html(result: Surface | Line) -> str:
    """Make what IPython shows where a surface or a line is the value of a cell.

    Args:
        result: The surface, drawn as filled contours (a single row or column as cells), or the line.

    Returns:
        A piece of HTML. Names are shown as they are, never as markup.
    """
    if isinstance(result, Line):
        figure = figure_line(result)
    else:
        figure = figure_landscape(result, kind="filled" if min(result.loss.shape) > 1 else "heat")
    picture = base64.b64encode(picture_bytes(figure, dots=_DOTS)).decode("ascii")
    return render_piece("notebook.html", picture=picture, said=repr(result), width=_WIDTH)
