from .fit import TrainingRun, train_model
from .history import load_metrics
from .kept import kept_checkpoints
from .recipe import Recipe
from .recipes import RECIPES, create_recipe
from .seeds import SeedRuns, train_seeds

__all__ = [
    "RECIPES",
    "Recipe",
    "SeedRuns",
    "TrainingRun",
    "create_recipe",
    "kept_checkpoints",
    "load_metrics",
    "train_model",
    "train_seeds",
]
