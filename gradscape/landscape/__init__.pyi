from .barrier import Barrier
from .difference import Difference
from .direction_files import load_directions, save_directions
from .directions import (
    Direction,
    DirectionSummary,
    difference_direction,
    random_directions,
    summarize_direction,
)
from .engine.logits import bce_with_logits, binary, cross_entropy, focal, mse, nll, top1, top5
from .engine.rounds import Progress
from .evaluate import estimate_seconds, evaluate_line, evaluate_surface
from .export import FORMATS, save_csv, save_npz
from .field import Field, Reading
from .files import load_landscape
from .line import Line
from .losses import find_loss, find_metric
from .metrics.measure import METRICS, Measure, Metric, measure_landscape
from .options import Options
from .span import SPAN_IMAGES, SpanSearch, Trial, find_span
from .surface import Surface, Value

__all__ = [
    "FORMATS",
    "METRICS",
    "SPAN_IMAGES",
    "Barrier",
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
    "bce_with_logits",
    "binary",
    "cross_entropy",
    "difference_direction",
    "estimate_seconds",
    "evaluate_line",
    "evaluate_surface",
    "find_loss",
    "find_metric",
    "find_span",
    "focal",
    "load_directions",
    "load_landscape",
    "measure_landscape",
    "mse",
    "nll",
    "random_directions",
    "save_csv",
    "save_directions",
    "save_npz",
    "summarize_direction",
    "top1",
    "top5",
]
