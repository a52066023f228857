"""Wide ResNets for CIFAR: Zagoruyko and Komodakis, "Wide Residual Networks", 2016, arXiv:1605.07146.

Differs from the paper: no dropout, with which it trains only some of its networks.
"""

from gradscape.models.backbones.preact_resnets import PreactResNet

__all__ = ["create_wide_resnet"]


def create_wide_resnet(depth: int, width: int, *, num_classes: int = 10) -> PreactResNet:
    """Build WRN-depth-width: three stages of basic pre-activation blocks, 16, 32 and 64 channels times `width`.

    Source: Zagoruyko and Komodakis, table 1.

    Args:
        depth: Number of weighted layers, 6n + 4 for n blocks a stage: 28 in WRN-28-10.
        width: Factor on the channels of the stages; the stem keeps its 16.
        num_classes: Number of classes.

    Raises:
        ValueError: If `depth` is not 6n + 4, or `width` not positive.
    """
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"`depth` of a wide ResNet must be 10, 16, 22, 28, …, got {depth}")
    if width < 1:
        raise ValueError(f"`width` of a wide ResNet must be positive, got {width}")
    return PreactResNet(
        (depth // 6,) * 3,
        bottleneck=False,
        num_classes=num_classes,
        stem_channels=16,
        widths=(16 * width, 32 * width, 64 * width),
        final_normalization=True,
    )
