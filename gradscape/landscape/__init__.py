"""Loss and error landscapes: directions, span, evaluation, surfaces and lines."""

from gradscape.landscape.difference import Difference
from gradscape.landscape.direction_files import load_directions, save_directions
from gradscape.landscape.directions import (
    Direction,
    DirectionSummary,
    difference_direction,
    random_directions,
    summarize_direction,
)
from gradscape.landscape.engine import Progress, cross_entropy, top1
from gradscape.landscape.evaluate import estimate_seconds, evaluate_line, evaluate_surface
from gradscape.landscape.export import FORMATS, save_csv, save_npz
from gradscape.landscape.field import Field, Reading
from gradscape.landscape.files import load_landscape
from gradscape.landscape.line import Line
from gradscape.landscape.metrics.measure import METRICS, Measure, Metric, measure_landscape
from gradscape.landscape.options import Options
from gradscape.landscape.span import SPAN_IMAGES, SpanSearch, Trial, find_span
from gradscape.landscape.surface import Surface, Value

__all__ = [
    "FORMATS",
    "METRICS",
    "SPAN_IMAGES",
    "Difference",
    "Direction",
    "DirectionSummary",
    "Field",
    "Line",
    "Measure",
    "Metric",
    "Options",
    "Progress",
    "Reading",
    "SpanSearch",
    "Surface",
    "Trial",
    "Value",
    "cross_entropy",
    "difference_direction",
    "estimate_seconds",
    "evaluate_line",
    "evaluate_surface",
    "find_span",
    "load_directions",
    "load_landscape",
    "measure_landscape",
    "random_directions",
    "save_csv",
    "save_directions",
    "save_npz",
    "summarize_direction",
    "top1",
]
