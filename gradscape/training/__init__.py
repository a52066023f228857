"""Recipes of the papers around Lightning's Trainer."""

from gradscape.training.fit import TrainingRun, train_model
from gradscape.training.history import load_metrics
from gradscape.training.recipe import Recipe
from gradscape.training.recipes import RECIPES, create_recipe
from gradscape.training.seeds import SeedRuns, train_seeds

__all__ = [
    "RECIPES",
    "Recipe",
    "SeedRuns",
    "TrainingRun",
    "create_recipe",
    "load_metrics",
    "train_model",
    "train_seeds",
]
