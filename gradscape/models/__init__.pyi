from .cards import ModelDescription, describe_models
from .checkpoint import Classifier, import_checkpoint, load_backbone, load_checkpoint, save_checkpoint
from .counting import count_macs, count_parameters
from .create import create_model, list_models
from .printed import PrintedCell
from .registry import TargetKind, targets_of

__all__ = [
    "Classifier",
    "ModelDescription",
    "PrintedCell",
    "TargetKind",
    "count_macs",
    "count_parameters",
    "create_model",
    "describe_models",
    "import_checkpoint",
    "list_models",
    "load_backbone",
    "load_checkpoint",
    "save_checkpoint",
    "targets_of",
]
