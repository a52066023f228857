"""Trajectories, the planes that show them, and other ways through parameter space."""
