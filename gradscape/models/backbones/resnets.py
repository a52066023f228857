"""ResNets as torchvision has them: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015.

arXiv:1512.03385. With the wide ones of Zagoruyko and Komodakis, "Wide Residual Networks", 2016, arXiv:1605.07146, and
the grouped ones of Xie, Girshick, Dollár, Tu and He, "Aggregated Residual Transformations for Deep Neural Networks",
2016, arXiv:1611.05431. Keys are torchvision's, so that its weights load.

Differs from the papers: strides are in the 3×3 convolutions, as in torchvision; `stride="first"` puts them into the
first 1×1 ones, as the networks that He et al. published have them and as BA2M counts them. For small images the stem is
a 3×3 convolution without stride and without pooling.
"""

from typing import Literal

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["AttendedBottleneck", "ResNet", "StridePlace", "create_resnet", "dilate", "place_strides"]

StridePlace = Literal["second", "first"]


class _BasicBlock(BasicBlock, AttendedBlock):
    """Torchvision's block of two 3×3 convolutions, with places for attention."""

    spatial_convolution = "conv1,bn1"
    conv1: nn.Module
    bn1: nn.Module
    conv2: nn.Module
    bn2: nn.Module
    relu: nn.Module
    downsample: nn.Module | None

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.attend_branch(self.bn2(self.conv2(out)), x)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.attend_output(self.relu(out + shortcut))


class AttendedBottleneck(Bottleneck, AttendedBlock):
    """Torchvision's block of 1×1, 3×3 and 1×1 convolutions, with places for attention."""

    spatial_convolution = "conv2,bn2"
    conv1: nn.Module
    bn1: nn.Module
    conv2: nn.Module
    bn2: nn.Module
    conv3: nn.Module
    bn3: nn.Module
    relu: nn.Module
    downsample: nn.Module | None

    def forward(self, x: Tensor) -> Tensor:
        """Run one block; see the class."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.attend_branch(self.bn3(self.conv3(out)), x)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.attend_output(self.relu(out + shortcut))


def place_strides(network: nn.Module, stride: StridePlace) -> None:
    """Say which of a bottleneck's convolutions takes its stride; that changes the multiply-adds and no parameter.

    Args:
        network: Its bottlenecks have their strides in the second convolution, the 3×3 one.
        stride: "second" leaves them there, "first" moves them to the first 1×1 convolution.

    Raises:
        ValueError: If they are to be moved and there is no bottleneck.
    """
    if stride == "second":
        return
    blocks = [module for module in network.modules() if isinstance(module, AttendedBottleneck)]
    if not blocks:
        raise ValueError("`stride` can be first where blocks begin with a 1×1 convolution; this network has none such")
    for block in blocks:
        first, second = block.conv1, block.conv2
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        first.stride, second.stride = second.stride, first.stride


def dilate(network: "ResNet") -> None:
    """Let the last two stages keep the size: where they would stride, all later 3×3 convolutions reach twice as far.

    Torchvision's bottlenecks are so with `replace_stride_with_dilation=[False, True, True]`; basic blocks too here.

    Args:
        network: Its last map then has an eighth of the images' side.
    """
    reach = 1
    for stage in (network.layer3, network.layer4):
        for number, block in enumerate(stage):
            for module in block.modules():
                if isinstance(module, nn.Conv2d):
                    module.stride = (1, 1)
                    if module.kernel_size == (3, 3):
                        module.dilation = module.padding = (reach, reach) if number == 0 else (2 * reach, 2 * reach)
        reach *= 2


class ResNet(StagedNetwork, TorchvisionResNet):
    """Torchvision's residual network, with places for attention.

    Source: He et al., table 1; Zagoruyko and Komodakis, table 1, for `width`; Xie et al., table 1, for `groups`.

    Args:
        blocks: Number of blocks of each of the four stages.
        bottleneck: Whether a block is a bottleneck (1×1, 3×3, 1×1) or basic (3×3, 3×3).
        num_classes: Number of classes.
        small_images: Whether the stem keeps the size, as images of 32 pixels need it.
        width: Factor on the widths of all stages; the stem keeps its 64 channels.
        groups: Groups of a bottleneck's 3×3 convolution ("cardinality").
        group_width: Channels of each group in the first stage.
        stride: Which convolution of a bottleneck takes its stride: the second, 3×3, or the first, 1×1.

    Raises:
        ValueError: If `stride` is first and the blocks are basic.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int, int],
        *,
        bottleneck: bool,
        num_classes: int = 1000,
        small_images: bool = False,
        width: float = 1.0,
        groups: int = 1,
        group_width: int = 64,
        stride: StridePlace = "second",
    ) -> None:
        block = AttendedBottleneck if bottleneck else _BasicBlock
        super().__init__(block, list(blocks), num_classes=num_classes, groups=groups, width_per_group=group_width)
        if small_images:
            self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
            self.maxpool = nn.Identity()
        if width != 1:
            self.inplanes = 64
            widths = [int(64 * 2**stage * width) for stage in range(4)]
            for stage, (filters, count) in enumerate(zip(widths, blocks, strict=True), 1):
                setattr(self, f"layer{stage}", self._make_layer(block, filters, count, stride=1 if stage == 1 else 2))
            self.fc = nn.Linear(widths[-1] * block.expansion, num_classes)
        place_strides(self, stride)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def stem(self) -> nn.Module:
        """The module whose output is the stem's."""
        return self.maxpool

    @property
    def stages(self) -> nn.ModuleList:
        """The four layers."""
        return nn.ModuleList([self.layer1, self.layer2, self.layer3, self.layer4])

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.fc

    def _stem_map(self, images: Tensor) -> Tensor:
        return self.maxpool(self.relu(self.bn1(self.conv1(images))))  # 64 channels, 1/4 (small images: full size)

    def _last_map(self, images: Tensor) -> Tensor:
        x = self._stem_map(images)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        return self.avgpool(x)  # one pixel


_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def create_resnet(
    depth: int,
    *,
    num_classes: int = 1000,
    small_images: bool = False,
    width: float = 1.0,
    groups: int = 1,
    group_width: int = 64,
    stride: StridePlace = "second",
) -> ResNet:
    """Build a ResNet by its depth: 18 and 34 of basic blocks, 50, 101 and 152 of bottlenecks.

    Args:
        depth: Number of weighted layers.
        num_classes: As in `ResNet`.
        small_images: As in `ResNet`.
        width: As in `ResNet`.
        groups: As in `ResNet`.
        group_width: As in `ResNet`.
        stride: As in `ResNet`.
    """
    return ResNet(
        _BLOCKS[depth],
        bottleneck=depth >= 50,
        num_classes=num_classes,
        small_images=small_images,
        width=width,
        groups=groups,
        group_width=group_width,
        stride=stride,
    )
