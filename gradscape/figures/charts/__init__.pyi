from .batch_sizes import figure_batch_sizes, plot_batch_sizes
from .bubbles import Bubble, figure_bubbles, plot_bubbles
from .confusion import figure_confusion, plot_confusion
from .curvature import figure_curvature, plot_density, plot_eigenvalues, plot_trace
from .embedding import describe_embeddings, embedding_titles, figure_embeddings, plot_embedding, quality_lines
from .embedding_marks import class_marks, shared_classes
from .run_curves import figure_run_curves, plot_run_curves
from .tables import figure_table
from .training import figure_curve, figure_training, plot_training

__all__ = [
    "Bubble",
    "class_marks",
    "describe_embeddings",
    "embedding_titles",
    "figure_batch_sizes",
    "figure_bubbles",
    "figure_confusion",
    "figure_curvature",
    "figure_curve",
    "figure_embeddings",
    "figure_run_curves",
    "figure_table",
    "figure_training",
    "plot_batch_sizes",
    "plot_bubbles",
    "plot_confusion",
    "plot_density",
    "plot_eigenvalues",
    "plot_embedding",
    "plot_run_curves",
    "plot_trace",
    "plot_training",
    "quality_lines",
    "shared_classes",
]
