from .pairing import find_topology
from .persistence import CriticalPoint, Pair, Topology

__all__ = [
    "CriticalPoint",
    "Pair",
    "Topology",
    "find_topology",
]
