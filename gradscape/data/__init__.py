"""Data sets by name: batches of images in [0, 1] and labels, always in the same order."""

from gradscape.data.load import load_split
from gradscape.data.split import Split

__all__ = ["Split", "load_split"]
