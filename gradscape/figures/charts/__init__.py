"""Numbers of trainings, tables and embeddings as curves, bubbles, tables and points."""
