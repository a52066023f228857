"""What a network looks at: heatmaps, attention maps, feature fusion, embeddings."""
