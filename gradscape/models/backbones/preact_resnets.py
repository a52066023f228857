"""Pre-activation ResNets: He, Zhang, Ren and Sun, "Identity Mappings in Deep Residual Networks", 2016.

arXiv:1603.05027. With widths 64 to 512 they are the CIFAR networks of SPANet; the thin one with 110 layers is that of
BA2M; the one with 200 layers is for ImageNet.

Differs from the paper: the networks for CIFAR with widths 64 to 512 have the depths made for ImageNet behind a 3×3 stem
without pooling, and no normalization before the classifier, as SPANet counts them. The activation before a block's
branch is before its projection too in every such block. Global average pooling takes any image size.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models.bottleneck import BottleneckChoice
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork

__all__ = ["PreactResNet", "create_preact_resnet", "create_preact_resnet110", "create_preact_resnet200"]


def _projection(channels: int, filters: int, stride: int) -> nn.Conv2d | None:
    """A 1×1 convolution where the shape changes."""
    if channels == filters and stride == 1:
        return None
    return nn.Conv2d(channels, filters, 1, stride, bias=False)


class _PreactBasicBlock(AttendedBlock):
    """Two 3×3 convolutions, each after normalization and ReLU."""

    expansion = 1
    spatial_convolution = "conv1"  # the normalization behind it is the next convolution's

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = _projection(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        out = self.conv1(activated)
        out = self.attend_branch(self.conv2(F.relu(self.bn2(out))), x)
        return self.attend_output(out + (x if self.shortcut is None else self.shortcut(activated)))


class _PreactBottleneck(AttendedBlock):
    """Convolutions 1×1, 3×3 and 1×1, each after normalization and ReLU."""

    expansion = 4
    spatial_convolution = "conv2"  # the normalization behind it is the next convolution's

    def __init__(self, channels: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, self.expansion * width, 1, bias=False)
        self.shortcut = _projection(channels, self.expansion * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = F.relu(self.bn1(x))
        out = self.conv1(activated)
        out = self.conv2(F.relu(self.bn2(out)))
        out = self.attend_branch(self.conv3(F.relu(self.bn3(out))), x)
        return self.attend_output(out + (x if self.shortcut is None else self.shortcut(activated)))


class PreactResNet(StagedNetwork):
    """Residual network that normalizes and activates before each convolution.

    Source: He et al., figure 1b and table 2 ("full pre-activation").

    Args:
        blocks: Number of blocks of each stage.
        bottleneck: Whether a block is a bottleneck (1×1, 3×3, 1×1) or basic (3×3, 3×3).
        num_classes: Number of classes.
        stem_channels: Channels of the stem.
        widths: Channels of each stage's 3×3 convolutions.
        final_normalization: Whether normalization and ReLU stand before the average pooling, as in the paper.
        small_images: Whether the stem is a 3×3 convolution, as images of 32 pixels need it. Else it is one of 7×7 and a
            pooling, reduces the image to a quarter, and normalizes and activates in the first block's stead.
    """

    attention_bottleneck = BottleneckChoice(bias=False)

    def __init__(
        self,
        blocks: tuple[int, ...],
        *,
        bottleneck: bool,
        num_classes: int = 10,
        stem_channels: int = 64,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        final_normalization: bool = False,
        small_images: bool = True,
    ) -> None:
        super().__init__()
        block = _PreactBottleneck if bottleneck else _PreactBasicBlock
        self.stem = (
            nn.Conv2d(3, stem_channels, 3, padding=1, bias=False) if small_images else _large_stem(stem_channels)
        )
        self.stages = nn.ModuleList()
        channels = stem_channels
        for number, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            stage = nn.Sequential()
            for i in range(count):
                stage.append(block(channels, width, stride=2 if number > 0 and i == 0 else 1))
                channels = block.expansion * width
            self.stages.append(stage)
        if not small_images:
            self.stages.get_submodule("0.0").bn1 = nn.Identity()  # the stem has done it
        self.bn = nn.BatchNorm2d(channels) if final_normalization else None
        self.head = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        maps = super().feature_maps(images)
        return maps if self.bn is None else [*maps, F.relu(self.bn(maps[-1]))]

    def _last_map(self, images: Tensor) -> Tensor:
        x = super()._last_map(images)  # full size (images of 224: a quarter), then half of it from stage to stage
        return x if self.bn is None else F.relu(self.bn(x))


def _large_stem(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, channels, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    )


_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def create_preact_resnet(depth: int, *, num_classes: int = 10) -> PreactResNet:
    """Build a network of widths 64 to 512: 18 and 34 of basic blocks, 50, 101 and 152 of bottlenecks.

    Args:
        depth: Number of weighted layers.
        num_classes: Number of classes.

    Raises:
        ValueError: If `depth` is none of these.
    """
    if depth not in _BLOCKS:
        raise ValueError(f"`depth` must be one of {', '.join(map(str, _BLOCKS))}, got {depth}")
    return PreactResNet(_BLOCKS[depth], bottleneck=depth >= 50, num_classes=num_classes)


def create_preact_resnet110(*, num_classes: int = 10) -> PreactResNet:
    """Build the thin network with 110 weighted layers: three stages of 18 basic blocks with 16, 32 and 64 channels.

    Source: He et al., table 3; its 1×1 projections where the shape changes are those that BA2M's count has.

    Args:
        num_classes: Number of classes.
    """
    return PreactResNet(
        (18, 18, 18),
        bottleneck=False,
        num_classes=num_classes,
        stem_channels=16,
        widths=(16, 32, 64),
        final_normalization=True,
    )


def create_preact_resnet200(*, num_classes: int = 1000) -> PreactResNet:
    """Build the network for ImageNet with 200 weighted layers: four stages of 3, 24, 36 and 3 bottlenecks.

    Source: He et al., section 5 and the appendix, which say what the first and the last block activate, and their
    published code, which says the rest: strides in the 3×3 convolutions.

    Args:
        num_classes: Number of classes.
    """
    return PreactResNet(
        (3, 24, 36, 3), bottleneck=True, num_classes=num_classes, final_normalization=True, small_images=False
    )
