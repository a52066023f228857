"""Confusion matrices: shares of rows, blocks of many classes, and labels where they fit."""

import numpy as np
import pytest

from gradscape.figures import figure_confusion, plot_confusion
from gradscape.figures.caption import caption_of

COUNTS = np.array([[6, 2, 0], [0, 0, 0], [1, 0, 999]])
NAMES = ["cat", "dog", "$hen$"]


def test_values_are_percent_of_each_row_and_absent_classes_have_none() -> None:
    ax = plot_confusion(COUNTS, names=NAMES)
    shares = ax.images[0].get_array()
    assert shares is not None
    nothing = [np.nan, np.nan, np.nan]
    np.testing.assert_allclose(np.ma.filled(shares, np.nan), np.array([[75, 25, 0], nothing, [0.1, 0, 99.9]]))
    assert [text.get_text() for text in ax.texts] == ["75", "25", "<1", "100"]
    assert [text.get_text() for text in ax.get_yticklabels()] == NAMES
    assert len(ax.figure.axes) == 1  # numbers in all cells need no color bar


def test_answers_that_are_no_class_have_a_column_of_their_own() -> None:
    counts = np.hstack([COUNTS, [[2], [0], [0]]])
    ax = plot_confusion(counts, names=NAMES)
    assert [text.get_text() for text in ax.get_xticklabels()] == [*NAMES, "other"]
    assert [text.get_text() for text in ax.get_yticklabels()] == NAMES
    assert "other: 2 answers that are none of the classes or not finite" in caption_of(
        figure_confusion(counts, names=NAMES)
    )


def test_caption_tells_accuracy_and_what_is_confused_most() -> None:
    caption = caption_of(figure_confusion(COUNTS, names=NAMES, about="1,008 images of pets (test)"))
    assert caption == (
        "1,008 images of pets (test) · 99.7 % right · % of the images of each class · white: none · gray: no image of "
        "the class · most often: cat taken for dog (25 %), $hen$ taken for cat (0.1 %)"
    )


@pytest.mark.parametrize(
    ("classes", "cells", "named"), [(30, 30, True), (100, 100, False), (1000, 100, False), (205, 69, False)]
)
def test_many_classes_are_put_together_and_named_only_where_names_fit(classes: int, cells: int, named: bool) -> None:
    counts = np.diag(np.full(classes, 10))
    counts[0, classes - 1] = 30
    names = [f"class {number}" for number in range(classes)]
    figure = figure_confusion(counts, names=names, title="a $network$")
    ax = figure.axes[0]
    shares = np.asarray(ax.images[0].get_array())
    step = -(-classes // 100)
    assert shares.shape == (cells, cells)
    np.testing.assert_allclose(shares.sum(1), 100)
    assert shares[0, -1] == pytest.approx(100 * 30 / (10 * step + 30))
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert (labels == names) == named
    if not named:
        assert labels[:2] == ["0", {100: "10", 205: "50", 1000: "100"}[classes]]
    assert f"class 0 taken for class {classes - 1} (75 %)" in caption_of(figure)
    assert len(figure.axes) == 2


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="a row for each of the 2 names"):
        plot_confusion(COUNTS, names=NAMES[:2])
