from .kinds import SHARPNESS_KINDS, SharpnessKind
from .measuring import measure_sharpness
from .rises import Sharpness, paired_rises

__all__ = [
    "SHARPNESS_KINDS",
    "Sharpness",
    "SharpnessKind",
    "measure_sharpness",
    "paired_rises",
]
