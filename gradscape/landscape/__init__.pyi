from .barrier import Barrier
from .batch_norm import recalibrated
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
from .paths.alignment import Alignment, align
from .paths.curve import Curve
from .paths.curve_fit import fit_curve
from .paths.curve_kinds import CurveKind
from .paths.detour import Detour, measure_detour
from .paths.pca import pca_directions
from .paths.plane import plane_directions
from .paths.projection import project
from .paths.trajectory import Trajectory
from .span import SPAN_IMAGES, SpanSearch, Trial, find_span
from .surface import Surface, Value

__all__ = [
    "FORMATS",
    "METRICS",
    "SPAN_IMAGES",
    "Alignment",
    "Barrier",
    "Curve",
    "CurveKind",
    "Detour",
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
    "Trajectory",
    "Trial",
    "Value",
    "align",
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
    "fit_curve",
    "focal",
    "load_directions",
    "load_landscape",
    "measure_detour",
    "measure_landscape",
    "mse",
    "nll",
    "pca_directions",
    "plane_directions",
    "project",
    "random_directions",
    "recalibrated",
    "save_csv",
    "save_directions",
    "save_npz",
    "summarize_direction",
    "top1",
    "top5",
]
