"""Many devices and many machines: the engine's workers in processes that Ray runs."""

from gradscape.landscape.cluster.pool import Cluster

__all__ = ["Cluster"]
