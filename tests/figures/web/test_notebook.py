"""What a notebook shows of a surface and a line: asked in the way that a notebook does."""

import html
import re
import subprocess
import sys

import numpy as np
import pytest

from gradscape.figures import notebook_html
from gradscape.landscape import Line, Surface
from tests.figures.results import ALPHAS, BETAS, bowl, make_line, make_surface

RESULTS = [
    make_surface(),
    make_surface(bowl()[:1], betas=BETAS[:1]),
    make_surface(np.full((5, 7), np.nan)),
    make_line(bowl()[2], bowl()[2] / 10, ALPHAS),
]


@pytest.mark.parametrize("result", RESULTS, ids=["surface", "one row", "nothing finite", "line"])
def test_a_picture_stands_beside_the_five_lines(result: Surface | Line) -> None:
    shown = notebook_html(result)
    assert re.search(r'<img src="data:image/png;base64,[A-Za-z0-9+/=]{1000,}"', shown)
    assert html.unescape(shown.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]) == repr(result)


def test_names_are_never_markup() -> None:
    shown = notebook_html(make_surface(model="<script>alert(1)</script>"))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_ipython_draws_a_surface_that_is_the_value_of_a_cell() -> None:
    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import sys, gradscape
assert "matplotlib" not in sys.modules and "numpy" not in sys.modules
from gradscape.landscape import Line, Surface
shell.display_formatter.formatters["text/html"].enabled = True
from tests.figures.results import make_surface
shown, _ = shell.display_formatter.format(make_surface())
print(shown["text/plain"].count("\\n"), "data:image/png" in shown["text/html"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "True"]
