"""All networks of the sweep, and those that gradscape may refuse."""

from tests.wild.own_networks import OWN
from tests.wild.timm_networks import TIMM
from tests.wild.torchvision_networks import TORCHVISION
from tests.wild.transformers_networks import TRANSFORMERS

__all__ = ["NETWORKS", "REFUSED"]

NETWORKS = {subject.name: subject for subject in (*TORCHVISION, *TIMM, *TRANSFORMERS, *OWN)}

REFUSED: dict[str, str] = {
    "own quantized": "Its weights are whole numbers packed for the processor: there is no point between two of them.",
    "own scripted": "TorchScript runs without Python, so that nobody can look between its layers.",
}
"""Why a network cannot be right, by its name."""
