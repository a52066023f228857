from .annotated import load_annotated
from .annotated_split import AnnotatedSplit, is_annotated, kinds_of
from .annotated_train_and_test import load_annotated_train_and_test
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
    "kinds_of",
    "load_annotated",
    "load_annotated_train_and_test",
    "load_canvases",
    "load_pictures",
    "load_split",
    "load_train_and_test",
]
