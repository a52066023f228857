from .load import load_split
from .pictures import Pictures, load_pictures
from .split import Split

__all__ = ["Pictures", "Split", "load_pictures", "load_split"]
