"""The papers' figures: one file a paper, and how a figure comes from networks, surfaces and trainings."""
