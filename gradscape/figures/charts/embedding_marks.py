"""One color and one shape for each class, told apart also in gray and by color-blind readers."""

from collections.abc import Sequence
from itertools import count, islice
from typing import NamedTuple

import numpy as np
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path

from gradscape.explain.embedding import Embedding
from gradscape.figures.style import CYCLE

__all__ = ["MOST_MARKS", "ClassMark", "class_marks", "shared_classes"]

# After the house's seven colors those of Paul Tol's muted scheme that are least like them.
_COLORS = (*CYCLE, "#882255", "#117733", "#332288", "#999933", "#44AA99", "#DDCC77", "#AA4499")
# Fifteen shapes and fourteen colors have no common divisor: a pair comes again after 210 classes. Shapes that are
# alike stand far from each other, and lines come last.
_SHAPES = ("o", "^", "s", "X", "v", "D", "P", ">", "*", "<", "d", "p", "x", "+", "1")

# Of a square's width; these have less area than the others.
_SIZES = {"*": 1.35, "+": 1.2, "1": 1.35}

MOST_MARKS = len(_SHAPES) * len(_COLORS)
"""Classes that have a mark of their own; above that they repeat."""


class ClassMark(NamedTuple):
    """How a class's points look.

    Attributes:
        color: As hexadecimal number.
        shape: Matplotlib's name of the marker.
    """

    color: str
    shape: str

    @property
    def filled(self) -> bool:
        """Whether the shape is an area, not lines."""
        return MarkerStyle(self.shape).is_filled()

    @property
    def size(self) -> float:
        """Width that makes it look as large as the others, about 1."""
        return _SIZES.get(self.shape, 1.0)

    @property
    def outline(self) -> str:
        """The shape as an SVG path, from -1 to 1 times its size."""
        marker = MarkerStyle(self.shape)
        path = marker.get_path().transformed(marker.get_transform())
        reach = float(np.abs(np.asarray(path.vertices)).max())
        letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
        parts = []
        for points, code in path.iter_segments(curves=True, simplify=False):
            if code == Path.CLOSEPOLY:
                parts.append("Z")
            else:
                numbers = [
                    f"{value / reach * self.size * (-1) ** index:.3g}" for index, value in enumerate(points)
                ]  # SVG's y
                parts.append(letters[code] + " ".join(numbers))
        return "".join(parts)


def class_marks(labels: Sequence[int]) -> dict[int, ClassMark]:
    """A mark for each class, the same for the same classes."""
    marks = (ClassMark(_COLORS[number % len(_COLORS)], _SHAPES[number % len(_SHAPES)]) for number in count())
    return dict(zip(sorted(labels), islice(marks, len(labels)), strict=True))


def shared_classes(embeddings: Sequence[Embedding]) -> dict[int, str]:
    """Number and name of every class that is there, in order.

    Raises:
        ValueError: No embedding, or embeddings that call the same class differently.
    """
    if not embeddings:
        raise ValueError("`embeddings` must hold at least one embedding, got none")
    names: dict[int, str] = {}
    for embedding in embeddings:
        for label in sorted({*embedding.labels.tolist()}):
            name = embedding.class_name(label)
            if names.setdefault(label, name) != name:
                raise ValueError(
                    f"`embeddings` must agree on their classes, but class {label} is {names[label]!r} and {name!r}"
                )
    return dict(sorted(names.items()))
