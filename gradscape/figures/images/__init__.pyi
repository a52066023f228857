from .attention import (
    figure_attention,
    figure_attention_maps,
    figure_batch_weights,
    figure_channel_weights,
    figure_scale_weights,
    plot_batch_weights,
    plot_channel_weights,
    plot_scale_weights,
)
from .attention_overview import figure_attention_overview
from .attention_rows import draws_map
from .boxes import figure_boxes, plot_boxes
from .channel_mixing import figure_channel_mixing
from .decision import figure_decisions, plot_decisions
from .explained_images import figure_explained_images
from .fusion import figure_features, figure_fusion, plot_features
from .heatmap_panel import Style, known_background
from .heatmaps import Arrangement, figure_heatmaps, images_per_page, plot_heatmap
from .located_heatmaps import LocatedHeatmap, figure_located_heatmaps
from .overlay import Background, HeatmapScale

__all__ = [
    "Arrangement",
    "Background",
    "HeatmapScale",
    "LocatedHeatmap",
    "Style",
    "draws_map",
    "figure_attention",
    "figure_attention_maps",
    "figure_attention_overview",
    "figure_batch_weights",
    "figure_boxes",
    "figure_channel_mixing",
    "figure_channel_weights",
    "figure_decisions",
    "figure_explained_images",
    "figure_features",
    "figure_fusion",
    "figure_heatmaps",
    "figure_located_heatmaps",
    "figure_scale_weights",
    "images_per_page",
    "known_background",
    "plot_batch_weights",
    "plot_boxes",
    "plot_channel_weights",
    "plot_decisions",
    "plot_features",
    "plot_heatmap",
    "plot_scale_weights",
]
