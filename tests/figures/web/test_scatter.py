"""Embeddings for the report: every point once, in its place and in its class."""

import re
from dataclasses import replace

import numpy as np
import pytest

from gradscape.figures.charts.embedding_marks import class_marks
from gradscape.figures.web.scatter import place_embeddings
from tests.figures.charts.test_embedding import make_embedding


def test_every_point_is_drawn_once_in_its_class() -> None:
    embedding = make_embedding(images=50, classes=4)
    scatter = place_embeddings([embedding], titles=["net"])
    (panel,) = scatter.panels
    points = np.reshape(panel.points, (-1, 2))
    drawn = sorted(
        (int(x), int(y), index) for index, path in panel.layers for x, y in re.findall(r"[ML](\d+) (\d+)", path)
    )
    assert drawn == sorted((*point, label) for point, label in zip(points.tolist(), scatter.labels, strict=True))
    assert [one.color for one in scatter.classes] == [mark.color for mark in class_marks(range(4)).values()]
    assert len({index for index, _ in panel.layers[:4]}) > 1  # no class lies over all others


def test_both_axes_have_one_scale_and_up_is_up() -> None:
    wide = np.array([[0, 0], [40, 0], [20, 10], [20, -10], [0, 5]], dtype=np.float32)
    embedding = replace(make_embedding(images=5, classes=2), points=wide)
    scatter = place_embeddings([embedding], titles=["net"])
    points = np.reshape(scatter.panels[0].points, (-1, 2))
    scale = (points[1, 0] - points[0, 0]) / 40
    np.testing.assert_allclose(points - points[0], scale * wide * (1, -1), atol=1)
    assert points.min() >= scatter.radius
    assert points.max() <= 1000 - scatter.radius


def test_titles_are_one_for_each() -> None:
    with pytest.raises(ValueError, match="`titles` must hold a name for each of the 1 embeddings, got 2"):
        place_embeddings([make_embedding()], titles=["a", "b"])
