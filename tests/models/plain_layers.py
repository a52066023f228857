"""Layers written out: from the tensors of a state and their names, or channel by channel."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def normalized(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def convolved(x: Tensor, state: dict[str, Tensor], name: str, *, stride: int = 1, groups: int = 1) -> Tensor:
    """A convolution that keeps the size but for its stride, and the normalization with the number after its own."""
    weight = state[f"{name}.weight"]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    sequence, number = name.rsplit(".", 1)
    return normalized(x, state, f"{sequence}.{int(number) + 1}")


def dense(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """A linear layer, or a 1×1 convolution of a single pixel."""
    return x @ state[f"{name}.weight"].flatten(1).T + state[f"{name}.bias"]


def batch_normalized(maps: Tensor, norm: nn.Module, *, training: bool) -> Tensor:
    """A batch normalization, channel by channel, of (N, C) or (N, C, H, W)."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    result = torch.zeros_like(maps)
    for channel in range(maps.shape[1]):
        values = maps[:, channel]
        mean = values.mean() if training else norm.running_mean[channel]
        var = (values - mean).square().mean() if training else norm.running_var[channel]
        result[:, channel] = (values - mean) / (var + 1e-5).sqrt() * norm.weight[channel] + norm.bias[channel]
    return result
