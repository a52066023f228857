from .accuracies import TrainedRun, compare_trainings, load_trainings
from .answer_scores import AnswerDifference, score_answers
from .attention import (
    AttentionMaps,
    SeenAttention,
    attend_pictures,
    draw_attention,
    multiply_batch_weights,
    tabulate_attention,
)
from .calibration import calibration_error
from .cam import (
    CLASS_HEADINGS,
    FAITHFULNESS_HEADINGS,
    METHOD_HEADINGS,
    Explanations,
    draw_explanations,
    explain_pictures,
    tabulate_classes,
    tabulate_faithfulness,
    tabulate_methods,
)
from .compare import compare_found, compare_surfaces, load_networks
from .comparison import (
    DIFFERENCE_HEADINGS,
    Comparison,
    save_comparison,
    tabulate_differences,
    tabulate_means,
)
from .demo import run_demo
from .detection_evaluation import (
    AveragePrecision,
    DetectedImage,
    DetectionEvaluation,
    evaluate_detector,
    measure_average_precision,
)
from .detection_files import PRECISION_HEADINGS, describe_detections, save_detections, tabulate_precision
from .drawing import draw_difference, draw_line, draw_one, draw_training, draw_trainings
from .estimates import Estimate, Searched, estimate
from .evaluation import Evaluation, compare_answers, evaluate_networks
from .evaluation_files import save_evaluation, tabulate_answer_differences, tabulate_scores
from .fusion import NOISE, FusedPictures, draw_fusion, fuse_pictures, noise_pictures
from .image_answers import ImageAnswers, answer_images, count_confusions
from .line import LinePath, make_path
from .located import (
    LOCATED_HEADINGS,
    LocatedExplanations,
    draw_located,
    explain_boxes,
    explain_segments,
    tabulate_located,
)
from .model_table import HEADINGS, tabulate_models, write_model_table
from .networks import common_image_size, load_finite_models, load_models
from .planes import (
    Axes,
    Subject,
    describe_directions,
    describe_search,
    evaluate_subjects,
    make_subjects,
    search_span,
    settle_axes,
    span_axes,
)
from .recipe_choice import choose_recipe, describe_choice, recipe_for, shared_recipe
from .segmentation_evaluation import PixelCounts, SegmentationEvaluation, evaluate_segmenter, score_pixels
from .segmentation_files import OVERLAP_HEADINGS, describe_segmentations, save_segmentations, tabulate_overlaps
from .stored_scores import store_scores
from .subjects import draw_subjects
from .targets import common_targets
from .training import describe_runs, train_alike, train_networks
from .training_data import load_training_data
from .tsne import ChosenImages, EmbeddedImages, choose_images, draw_embeddings, embed_models, make_thumbnails

__all__ = [
    "CLASS_HEADINGS",
    "DIFFERENCE_HEADINGS",
    "FAITHFULNESS_HEADINGS",
    "HEADINGS",
    "LOCATED_HEADINGS",
    "METHOD_HEADINGS",
    "NOISE",
    "OVERLAP_HEADINGS",
    "PRECISION_HEADINGS",
    "AnswerDifference",
    "AttentionMaps",
    "AveragePrecision",
    "Axes",
    "ChosenImages",
    "Comparison",
    "DetectedImage",
    "DetectionEvaluation",
    "EmbeddedImages",
    "Estimate",
    "Evaluation",
    "Explanations",
    "FusedPictures",
    "ImageAnswers",
    "LinePath",
    "LocatedExplanations",
    "PixelCounts",
    "Searched",
    "SeenAttention",
    "SegmentationEvaluation",
    "Subject",
    "TrainedRun",
    "answer_images",
    "attend_pictures",
    "calibration_error",
    "choose_images",
    "choose_recipe",
    "common_image_size",
    "common_targets",
    "compare_answers",
    "compare_found",
    "compare_surfaces",
    "compare_trainings",
    "count_confusions",
    "describe_choice",
    "describe_detections",
    "describe_directions",
    "describe_runs",
    "describe_search",
    "describe_segmentations",
    "draw_attention",
    "draw_difference",
    "draw_embeddings",
    "draw_explanations",
    "draw_fusion",
    "draw_line",
    "draw_located",
    "draw_one",
    "draw_subjects",
    "draw_training",
    "draw_trainings",
    "embed_models",
    "estimate",
    "evaluate_detector",
    "evaluate_networks",
    "evaluate_segmenter",
    "evaluate_subjects",
    "explain_boxes",
    "explain_pictures",
    "explain_segments",
    "fuse_pictures",
    "load_finite_models",
    "load_models",
    "load_networks",
    "load_training_data",
    "load_trainings",
    "make_path",
    "make_subjects",
    "make_thumbnails",
    "measure_average_precision",
    "multiply_batch_weights",
    "noise_pictures",
    "recipe_for",
    "run_demo",
    "save_comparison",
    "save_detections",
    "save_evaluation",
    "save_segmentations",
    "score_answers",
    "score_pixels",
    "search_span",
    "settle_axes",
    "shared_recipe",
    "span_axes",
    "store_scores",
    "tabulate_answer_differences",
    "tabulate_attention",
    "tabulate_classes",
    "tabulate_differences",
    "tabulate_faithfulness",
    "tabulate_located",
    "tabulate_means",
    "tabulate_methods",
    "tabulate_models",
    "tabulate_overlaps",
    "tabulate_precision",
    "tabulate_scores",
    "train_alike",
    "train_networks",
    "write_model_table",
]
