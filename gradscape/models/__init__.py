"""Models by name, their checkpoints, and their sizes."""

from gradscape.models.cards import ModelDescription, describe_models
from gradscape.models.checkpoint import Classifier, import_checkpoint, load_checkpoint, save_checkpoint
from gradscape.models.counting import count_macs, count_parameters
from gradscape.models.create import create_model, list_models
from gradscape.models.printed import PrintedSize

__all__ = [
    "Classifier",
    "ModelDescription",
    "PrintedSize",
    "count_macs",
    "count_parameters",
    "create_model",
    "describe_models",
    "import_checkpoint",
    "list_models",
    "load_checkpoint",
    "save_checkpoint",
]
