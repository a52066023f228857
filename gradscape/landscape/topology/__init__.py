"""Minima, saddles and persistence pairs of a surface, with the band that noise stays below."""

from gradscape.landscape.topology.pairing import find_topology
from gradscape.landscape.topology.persistence import CriticalPoint, Pair, Topology

__all__ = ["CriticalPoint", "Pair", "Topology", "find_topology"]
