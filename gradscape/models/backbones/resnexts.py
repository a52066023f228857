"""ResNeXts for CIFAR: Xie, Girshick, Dollár, Tu and He, "Aggregated Residual Transformations for Deep Neural Networks".

2016, arXiv:1611.05431. ResNeXt-29 8×64d is BA2M's; 2×64d and 32×4d are those that UPANets compares itself with.

Differs from the paper: strides are in the 3×3 convolutions; `stride="first"` puts them into the first 1×1 ones, as BA2M
counts them. `stem_size` 1 gives the 1×1 stem of the networks in UPANets' tables; any image size.
"""

from torch import nn

from gradscape.models.backbones.resnets import AttendedBottleneck, StridePlace, place_strides
from gradscape.models.staged import StagedNetwork

__all__ = ["CifarResNeXt"]


class CifarResNeXt(StagedNetwork):
    """Three stages of three bottlenecks whose 3×3 convolutions are grouped; outputs have 256, 512 and 1024 channels.

    Source: Xie et al., section 5.3.

    Args:
        groups: Groups of the 3×3 convolutions ("cardinality").
        group_width: Channels of each group in the first stage; they double from stage to stage.
        num_classes: Number of classes.
        stem_size: Side of the stem's convolution: 3, or 1.
        stride: Which convolution of a bottleneck takes its stride: the second, 3×3, or the first, 1×1.

    Raises:
        ValueError: If `stem_size` is neither.
    """

    def __init__(
        self,
        groups: int,
        group_width: int,
        *,
        num_classes: int = 10,
        stem_size: int = 3,
        stride: StridePlace = "second",
    ) -> None:
        super().__init__()
        if stem_size not in (1, 3):
            raise ValueError(f"`stem_size` of a ResNeXt must be 1 or 3, got {stem_size}")
        self.stem = nn.Sequential(
            nn.Conv2d(3, 64, stem_size, padding=stem_size // 2, bias=False), nn.BatchNorm2d(64), nn.ReLU()
        )

        def stage(channels: int, planes: int, stride: int) -> nn.Sequential:
            filters = AttendedBottleneck.expansion * planes
            projection = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
            first = AttendedBottleneck(channels, planes, stride, projection, groups=groups, base_width=group_width)  # type: ignore[call-arg]
            others = [AttendedBottleneck(filters, planes, groups=groups, base_width=group_width) for _ in range(2)]  # type: ignore[call-arg]
            return nn.Sequential(first, *others)

        # full size, 1/2, 1/4
        self.stages = nn.ModuleList([stage(64, 64, 1), stage(256, 128, 2), stage(512, 256, 2)])
        place_strides(self, stride)
        self.head = nn.Linear(1024, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
