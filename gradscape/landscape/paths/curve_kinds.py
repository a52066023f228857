"""What curves there are, and what files and pictures call them: known without the networks themselves."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["CURVE", "CURVE_NAMES", "CurveKind"]

CurveKind = Literal["bezier", "chain"]

CURVE = "curve"
"""Entry of a line that follows a curve, or of a surface that shows one: kind, length and how it was fitted."""

CURVE_NAMES: Mapping[CurveKind, str] = {"bezier": "Bézier curve", "chain": "chain of two lines"}
"""What pictures call them."""
