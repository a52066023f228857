"""Sharpness as papers use it: how far the loss rises where weights are disturbed at random, or in the worst way."""

from gradscape.landscape.sharpness.kinds import SHARPNESS_KINDS, SharpnessKind
from gradscape.landscape.sharpness.measuring import measure_sharpness
from gradscape.landscape.sharpness.rises import Sharpness, paired_rises

__all__ = ["SHARPNESS_KINDS", "Sharpness", "SharpnessKind", "measure_sharpness", "paired_rises"]
