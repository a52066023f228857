"""All networks of the sweep, and those that gradscape may refuse."""

from tests.wild.own_networks import OWN
from tests.wild.timm_networks import TIMM
from tests.wild.torchvision_networks import TORCHVISION
from tests.wild.transformers_networks import TRANSFORMERS

__all__ = ["NETWORKS", "REFUSED"]

NETWORKS = {subject.name: subject for subject in (*TORCHVISION, *TIMM, *TRANSFORMERS, *OWN)}

REFUSED: dict[str, str] = {
    "timm tnt_s_patch16_224": "Its blocks give pixels and patches as a pair: which of them to explain has to be said.",
    "own quantized": "Its weights are whole numbers packed for the processor: there is no point between two of them.",
    "own scripted": "TorchScript runs without Python, so that nobody can look between its layers.",
}
"""Why a network cannot be right, by its name."""
