"""Kinds of curves between two networks, and where a line says that it follows one."""

from collections.abc import Mapping
from typing import Literal

__all__ = ["CURVE", "CURVE_NAMES", "CurveKind"]

CURVE = "curve"
"""Entry of a line that follows a curve: its kind, length and the straight distance of its ends."""

CurveKind = Literal["bezier", "chain"]

CURVE_NAMES: Mapping[CurveKind, str] = {"bezier": "Bézier curve", "chain": "chain of two lines"}
"""What pictures call them."""
