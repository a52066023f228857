"""Trunk, statistics and masks, which both residual attention networks have."""

from torch import Tensor, nn

from gradscape.models.counting import count_parameters


def count_trunk_layers(network: nn.Module) -> int:
    """The weighted layers along the trunk: its convolutions and the classifier."""
    trunk = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "soft_mask" not in name and "shortcut" not in name
    ]
    return len(trunk) + 1


def count_moving_statistics(network: nn.Module) -> int:
    return sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)


def check_between_zero_and_one(mask: Tensor) -> None:
    """Every weight of a mask is one that a sigmoid gives, and they differ."""
    assert mask.min() > 0
    assert mask.max() < 1
    assert mask.std() > 1e-3


def keras_counts(network: nn.Module) -> tuple[int, int, int]:
    """What Keras's summary tells: all parameters, those that are trained, and moving statistics."""
    trainable = count_parameters(network)
    statistics = count_moving_statistics(network)
    return trainable + statistics, trainable, statistics
