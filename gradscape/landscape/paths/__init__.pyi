from .pca import pca_directions
from .plane import plane_directions
from .projection import project
from .trajectory import Trajectory

__all__ = ["Trajectory", "pca_directions", "plane_directions", "project"]
