"""Data sets by name, batches of images in [0, 1] and labels, always in the same order; and single pictures."""

from gradscape.data.load import load_split
from gradscape.data.pictures import Pictures, load_pictures
from gradscape.data.split import Split

__all__ = ["Pictures", "Split", "load_pictures", "load_split"]
