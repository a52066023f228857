import numpy as np
import pytest

from gradscape.landscape import Line, Surface
from tests.figures.results import ALPHAS, bowl, make_line, make_surface, unevaluated, with_gaps


def test_a_surface_says_in_five_lines_what_it_is() -> None:
    assert repr(make_surface()).split("\n") == [
        "Surface: 7 × 5 points, alpha −1 to 1, beta −0.5 to 0.5",
        "  model               net",
        "  data                digits (train), 400 of 4,000 images",
        "  cross-entropy loss  0.25 to 3.5, 0.25 ± 0.005 at the origin",
        "  top-1 error         20 to 20 %, 10 % at the origin",
    ]


def test_a_line_says_the_same_of_its_one_axis() -> None:
    first, *rest = repr(make_line(bowl()[2], np.full(7, np.nan), ALPHAS)).split("\n")
    assert first == "Line: 7 points, alpha −1 to 1"
    assert len(rest) == 4
    assert rest[-1].startswith("  top-1 error         not measured")


def test_what_is_missing_is_counted() -> None:
    gaps = repr(unevaluated(make_surface(with_gaps(bowl())), 1))
    assert gaps.split("\n")[0].endswith("7 not evaluated, 2 with a non-finite loss")


@pytest.mark.parametrize("result", [make_surface(model="a\nb", data="c\nd"), make_line(bowl()[2], bowl()[2], ALPHAS)])
def test_there_are_five_lines_whatever_the_names(result: Surface | Line) -> None:
    assert len(repr(result).split("\n")) == 5
    assert max(map(len, repr(result).split("\n"))) < 100
