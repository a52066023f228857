"""What a network looks at: heatmaps, attention maps, feature fusion, embeddings."""

from gradscape.explain.attention import attention_maps, rank_by_batch_weight
from gradscape.explain.attention_map import AttentionMap, load_attention_maps, save_attention_maps
from gradscape.explain.cam import heatmaps, list_methods
from gradscape.explain.embedding import Embedding, embed
from gradscape.explain.embedding_features import Features, extract_features
from gradscape.explain.embedding_quality import EmbeddingQuality
from gradscape.explain.factorization import FeatureFactors, factorize_features
from gradscape.explain.faithfulness import MEASURES, Faithfulness, Mean, measure_faithfulness
from gradscape.explain.features import feature_maps
from gradscape.explain.foreign_attention import attention_rollout
from gradscape.explain.fusion import fusion_maps, list_blocks
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.guided import guided_backprop, guided_gradcam
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.procrustes import align_embeddings
from gradscape.explain.randomization import Randomization, randomize_parameters
from gradscape.explain.target_layer import find_target_layer

__all__ = [
    "MEASURES",
    "AttentionMap",
    "Embedding",
    "EmbeddingQuality",
    "Faithfulness",
    "FeatureFactors",
    "Features",
    "FusionMaps",
    "Heatmaps",
    "Mean",
    "Randomization",
    "align_embeddings",
    "attention_maps",
    "attention_rollout",
    "embed",
    "extract_features",
    "factorize_features",
    "feature_maps",
    "find_target_layer",
    "fusion_maps",
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
