from .attention import (
    draws_map,
    figure_attention,
    figure_batch_weights,
    figure_channel_weights,
    figure_scale_weights,
    plot_batch_weights,
    plot_channel_weights,
    plot_scale_weights,
)
from .channel_mixing import figure_channel_mixing
from .explained_images import figure_explained_images
from .fusion import figure_features, figure_fusion, plot_features
from .heatmaps import Arrangement, HeatmapScale, Style, figure_heatmaps, images_per_page, plot_heatmap

__all__ = [
    "Arrangement",
    "HeatmapScale",
    "Style",
    "draws_map",
    "figure_attention",
    "figure_batch_weights",
    "figure_channel_mixing",
    "figure_channel_weights",
    "figure_explained_images",
    "figure_features",
    "figure_fusion",
    "figure_heatmaps",
    "figure_scale_weights",
    "images_per_page",
    "plot_batch_weights",
    "plot_channel_weights",
    "plot_features",
    "plot_heatmap",
    "plot_scale_weights",
]
