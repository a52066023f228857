"""A model as a graph of operators, rewritten so that a forward pass has less to do."""

from gradscape.landscape.engine.graph.folding import Fold, FoldedGraph, fold_batch_norms
from gradscape.landscape.engine.graph.fusing import can_fuse, fuse_operators, leaking
from gradscape.landscape.engine.graph.lowering import lower_to_bf16
from gradscape.landscape.engine.graph.tracing import TracingError, silenced, trace

__all__ = [
    "Fold",
    "FoldedGraph",
    "TracingError",
    "can_fuse",
    "fold_batch_norms",
    "fuse_operators",
    "leaking",
    "lower_to_bf16",
    "silenced",
    "trace",
]
