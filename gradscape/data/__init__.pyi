from .load import load_split
from .pictures import Pictures, load_pictures
from .split import HeldOut, Split
from .train_and_test import load_train_and_test

__all__ = ["HeldOut", "Pictures", "Split", "load_pictures", "load_split", "load_train_and_test"]
