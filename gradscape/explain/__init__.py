"""What a network looks at: heatmaps, attention maps, feature fusion, embeddings."""

from gradscape.explain.alignment import align_embeddings
from gradscape.explain.embedding import Embedding, embed
from gradscape.explain.embedding_features import Features, extract_features
from gradscape.explain.embedding_quality import EmbeddingQuality

__all__ = ["Embedding", "EmbeddingQuality", "Features", "align_embeddings", "embed", "extract_features"]
