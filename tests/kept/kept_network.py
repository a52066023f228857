"""The network of the kept files: a few hundred parameters and two squeeze-and-excitations."""

from collections import OrderedDict

from torch import nn

from gradscape.models.attentions.squeeze_excitation import SqueezeExcitation

__all__ = ["small_net"]


def small_net(num_classes: int, image_size: int) -> nn.Module:
    """Two convolutions, each with a batch norm and a squeeze-and-excitation, and a linear layer."""
    channels = 6
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(nn.Conv2d(3, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU()),
            first=SqueezeExcitation(channels, reduction=2),
            deep=nn.Sequential(nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU()),
            second=SqueezeExcitation(channels, reduction=2),
            pool=nn.AdaptiveAvgPool2d(1),
            flat=nn.Flatten(),
            head=nn.Linear(channels, num_classes),
        )
    )
