from .annotated import load_annotated
from .annotated_split import AnnotatedSplit, is_annotated
from .load import load_split
from .pictures import Pictures, load_canvases, load_pictures
from .split import HeldOut, Split
from .train_and_test import load_train_and_test

__all__ = [
    "AnnotatedSplit",
    "HeldOut",
    "Pictures",
    "Split",
    "is_annotated",
    "load_annotated",
    "load_canvases",
    "load_pictures",
    "load_split",
    "load_train_and_test",
]
