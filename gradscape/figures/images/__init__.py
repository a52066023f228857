"""Pictures, and what networks make of them: heatmaps, attention, features."""
