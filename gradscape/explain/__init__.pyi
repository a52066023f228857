from .attention import attention_maps, rank_by_batch_weight
from .attention_map import AttentionMap, load_attention_maps, save_attention_maps
from .cam import heatmaps, list_methods
from .decision import decision_map, gradient_map
from .decision_regions import DecisionMap
from .detections import ExplainedDetection, explain_detection
from .embedding import Embedding, embed
from .embedding_features import Features, extract_features
from .embedding_quality import EmbeddingQuality
from .explained import NothingFoundError
from .factorization import FeatureFactors, factorize_features
from .faithfulness import MEASURES, Faithfulness, Mean, measure_faithfulness
from .features import feature_maps
from .fusion import fusion_maps, list_blocks
from .fusion_map import FusionMaps
from .guided import guided_backprop, guided_gradcam
from .heatmap import Heatmaps
from .layout import Layout
from .pixels import explain_pixels
from .procrustes import align_embeddings
from .randomization import Randomization, randomize_parameters
from .rollout import attention_rollout
from .target_layer import find_target_layer

__all__ = [
    "MEASURES",
    "AttentionMap",
    "DecisionMap",
    "Embedding",
    "EmbeddingQuality",
    "ExplainedDetection",
    "Faithfulness",
    "FeatureFactors",
    "Features",
    "FusionMaps",
    "Heatmaps",
    "Layout",
    "Mean",
    "NothingFoundError",
    "Randomization",
    "align_embeddings",
    "attention_maps",
    "attention_rollout",
    "decision_map",
    "embed",
    "explain_detection",
    "explain_pixels",
    "extract_features",
    "factorize_features",
    "feature_maps",
    "find_target_layer",
    "fusion_maps",
    "gradient_map",
    "guided_backprop",
    "guided_gradcam",
    "heatmaps",
    "list_blocks",
    "list_methods",
    "load_attention_maps",
    "measure_faithfulness",
    "randomize_parameters",
    "rank_by_batch_weight",
    "save_attention_maps",
]
