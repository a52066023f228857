from .fields import drawn_unit, several
from .lines import figure_line, plot_line
from .maps import plot_contour, plot_filled, plot_heat
from .metrics import figure_measures, plot_measures
from .pages import figure_comparison, figure_landscape, figure_scaled
from .preview import describe_progress, figure_preview
from .relief import plot_surface
from .scales import Scale
from .shading import Shading, shade
from .topology import figure_topology, plot_merge_tree, plot_persistence
from .wording import describe_fields, model_name, result_names

__all__ = [
    "Scale",
    "Shading",
    "describe_fields",
    "describe_progress",
    "drawn_unit",
    "figure_comparison",
    "figure_landscape",
    "figure_line",
    "figure_measures",
    "figure_preview",
    "figure_scaled",
    "figure_topology",
    "model_name",
    "plot_contour",
    "plot_filled",
    "plot_heat",
    "plot_line",
    "plot_measures",
    "plot_merge_tree",
    "plot_persistence",
    "plot_surface",
    "result_names",
    "several",
    "shade",
]
