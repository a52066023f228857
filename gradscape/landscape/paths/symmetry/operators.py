"""Operators by what they do to channels: names as ATen has them, without their variants."""

from typing import Final

__all__ = ["CONVOLUTIONS", "ELEMENTWISE", "POOLING", "REDUCTIONS", "WITHOUT_VALUE"]

ELEMENTWISE: Final = frozenset(
    [
        "abs",
        "add",
        "alias",
        "celu",
        "clamp",
        "clamp_max",
        "clamp_min",
        "clone",
        "contiguous",
        "cos",
        "detach",
        "div",
        "dropout",
        "elu",
        "erf",
        "exp",
        "gelu",
        "hardsigmoid",
        "hardswish",
        "hardtanh",
        "leaky_relu",
        "log",
        "log1p",
        "maximum",
        "minimum",
        "mish",
        "mul",
        "neg",
        "pow",
        "reciprocal",
        "relu",
        "relu6",
        "rsqrt",
        "rsub",
        "selu",
        "sigmoid",
        "silu",
        "sin",
        "softplus",
        "softsign",
        "sqrt",
        "square",
        "sub",
        "tanh",
        "to",
    ]
)
"""Every number by itself, or together with those at the same place of other tensors."""

POOLING: Final = frozenset(
    [
        "adaptive_avg_pool1d",
        "adaptive_avg_pool2d",
        "adaptive_avg_pool3d",
        "adaptive_max_pool1d",
        "adaptive_max_pool2d",
        "adaptive_max_pool3d",
        "avg_pool1d",
        "avg_pool2d",
        "avg_pool3d",
        "max_pool1d",
        "max_pool2d",
        "max_pool3d",
        "upsample_bilinear2d",
        "upsample_nearest2d",
    ]
)
"""Maps become smaller or larger, each channel by itself, along the last dimensions."""

REDUCTIONS: Final = frozenset(
    ["amax", "amin", "linalg_vector_norm", "logsumexp", "max", "mean", "min", "std", "sum", "var"]
)
"""Sums and the like: those over channels do not ask for their order."""

CONVOLUTIONS: Final = frozenset(
    ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]
)
"""Layers whose weights have channels along both of the first dimensions."""

WITHOUT_VALUE: Final = frozenset(["_assert_scalar", "_assert_tensor_metadata", "sym_numel", "sym_size", "sym_stride"])
"""What gives no tensor, such as the number of images."""
