from .charts.batch_sizes import figure_batch_sizes, plot_batch_sizes
from .charts.bubbles import Bubble, figure_bubbles, plot_bubbles
from .charts.confusion import figure_confusion, plot_confusion
from .charts.embedding import figure_embeddings, plot_embedding
from .charts.run_curves import figure_run_curves, plot_run_curves
from .charts.tables import figure_table
from .charts.training import figure_curve, figure_training, plot_training
from .images.attention import (
    figure_attention,
    figure_batch_weights,
    figure_channel_weights,
    figure_scale_weights,
    plot_batch_weights,
    plot_channel_weights,
    plot_scale_weights,
)
from .images.boxes import figure_boxes, plot_boxes
from .images.decision import figure_decisions, plot_decisions
from .images.fusion import figure_features, figure_fusion, plot_features
from .images.heatmaps import figure_heatmaps, plot_heatmap
from .images.located_heatmaps import LocatedHeatmap, figure_located_heatmaps
from .look import Look, drawn_as
from .style import Figure, save_figure
from .surfaces.lines import figure_line, plot_line
from .surfaces.maps import plot_contour, plot_filled, plot_heat
from .surfaces.metrics import figure_measures, plot_measures
from .surfaces.pages import figure_comparison, figure_landscape, figure_scaled
from .surfaces.preview import figure_preview
from .surfaces.relief import plot_surface
from .surfaces.topology import figure_topology, plot_merge_tree, plot_persistence
from .web.animation import interactive_animation
from .web.embeddings import interactive_embedding
from .web.notebook import notebook_html
from .web.pages import WebPage
from .web.surfaces import interactive_surface

__all__ = [
    "Bubble",
    "Figure",
    "LocatedHeatmap",
    "Look",
    "WebPage",
    "drawn_as",
    "figure_attention",
    "figure_batch_sizes",
    "figure_batch_weights",
    "figure_boxes",
    "figure_bubbles",
    "figure_channel_weights",
    "figure_comparison",
    "figure_confusion",
    "figure_curve",
    "figure_decisions",
    "figure_embeddings",
    "figure_features",
    "figure_fusion",
    "figure_heatmaps",
    "figure_landscape",
    "figure_line",
    "figure_located_heatmaps",
    "figure_measures",
    "figure_preview",
    "figure_run_curves",
    "figure_scale_weights",
    "figure_scaled",
    "figure_table",
    "figure_topology",
    "figure_training",
    "interactive_animation",
    "interactive_embedding",
    "interactive_surface",
    "notebook_html",
    "plot_batch_sizes",
    "plot_batch_weights",
    "plot_boxes",
    "plot_bubbles",
    "plot_channel_weights",
    "plot_confusion",
    "plot_contour",
    "plot_decisions",
    "plot_embedding",
    "plot_features",
    "plot_filled",
    "plot_heat",
    "plot_heatmap",
    "plot_line",
    "plot_measures",
    "plot_merge_tree",
    "plot_persistence",
    "plot_run_curves",
    "plot_scale_weights",
    "plot_surface",
    "plot_training",
    "save_figure",
]
