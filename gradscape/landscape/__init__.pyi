from .barrier import Barrier
from .detection import BoxBatches, box_losses, box_losses_and_precision, detection_ap50, detection_loss
from .difference import Difference
from .direction_files import load_directions, save_directions
from .directions import (
    Direction,
    DirectionSummary,
    difference_direction,
    random_directions,
    summarize_direction,
)
from .engine.logits import (
    bce_with_logits,
    binary,
    cross_entropy,
    focal,
    mse,
    nll,
    pixel_accuracy,
    pixel_cross_entropy,
    top1,
    top5,
)
from .engine.rounds import Progress
from .evaluate import estimate_seconds, evaluate_line, evaluate_surface
from .export import FORMATS, save_csv, save_npz
from .field import Field, Reading
from .files import load_landscape
from .hessian.curvature import Curvature
from .hessian.curvature_map import CURVATURE_FIELDS, CurvatureMap
from .hessian.density import Density, hessian_density
from .hessian.mapping import evaluate_curvature
from .hessian.products import HessianProducts
from .hessian.spectrum import Spectrum, hessian_spectrum
from .hessian.trace import Trace, hessian_trace
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
from .paths.projection import project, project_each
from .paths.trajectory import Trajectory
from .sharpness.kinds import SHARPNESS_KINDS, SharpnessKind
from .sharpness.measuring import measure_sharpness
from .sharpness.rises import Sharpness, paired_rises
from .span import SPAN_IMAGES, SpanSearch, Trial, find_span
from .surface import Surface, Value
from .topology.persistence import CriticalPoint, Pair, Topology

__all__ = [
    "CURVATURE_FIELDS",
    "FORMATS",
    "METRICS",
    "SHARPNESS_KINDS",
    "SPAN_IMAGES",
    "Alignment",
    "Barrier",
    "BoxBatches",
    "CriticalPoint",
    "Curvature",
    "CurvatureMap",
    "Curve",
    "CurveKind",
    "Density",
    "Detour",
    "Difference",
    "Direction",
    "DirectionSummary",
    "Field",
    "HessianProducts",
    "Line",
    "Measure",
    "Metric",
    "Options",
    "Pair",
    "Progress",
    "Reading",
    "Sharpness",
    "SharpnessKind",
    "SpanSearch",
    "Spectrum",
    "Surface",
    "Topology",
    "Trace",
    "Trajectory",
    "Trial",
    "Value",
    "align",
    "bce_with_logits",
    "binary",
    "box_losses",
    "box_losses_and_precision",
    "cross_entropy",
    "detection_ap50",
    "detection_loss",
    "difference_direction",
    "estimate_seconds",
    "evaluate_curvature",
    "evaluate_line",
    "evaluate_surface",
    "find_loss",
    "find_metric",
    "find_span",
    "fit_curve",
    "focal",
    "hessian_density",
    "hessian_spectrum",
    "hessian_trace",
    "load_directions",
    "load_landscape",
    "measure_detour",
    "measure_landscape",
    "measure_sharpness",
    "mse",
    "nll",
    "paired_rises",
    "pca_directions",
    "pixel_accuracy",
    "pixel_cross_entropy",
    "plane_directions",
    "project",
    "project_each",
    "random_directions",
    "save_csv",
    "save_directions",
    "save_npz",
    "summarize_direction",
    "top1",
    "top5",
]
