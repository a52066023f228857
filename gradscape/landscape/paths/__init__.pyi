from .curve import Curve
from .curve_fit import fit_curve
from .detour import Detour, measure_detour
from .pca import pca_directions
from .plane import plane_directions
from .projection import project, project_each
from .trajectory import Trajectory

__all__ = [
    "Curve",
    "Detour",
    "Trajectory",
    "fit_curve",
    "measure_detour",
    "pca_directions",
    "plane_directions",
    "project",
    "project_each",
]
