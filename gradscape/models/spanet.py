"""SPANet: Ma, Guo, Sansom et al., "Spatial Pyramid Attention for Deep Convolutional Neural Networks", 2021.

IEEE Transactions on Multimedia, doi:10.1109/TMM.2021.3068576.

Differs from the paper, following the authors' published code wherever the two disagree:

- Batch normalization and ReLU stand between the two convolutions of equation 2, which leaves them out.
- The channel matcher has a second batch normalization at its end, and is C/r wide, where the text says max(C', C)/r;
  they differ only for C' > C: `wider=True`, which the authors' DenseNets have too.

Differs from both: at least one channel is left between the convolutions, so that C may be smaller than r.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.sites import Host, Site, attend_branches, choose_sites, gate_branches
from gradscape.models.staged import bottleneck_of

__all__ = [
    "SpatialPyramidAttention",
    "SpatialPyramidGate",
    "attach_spatial_pyramid",
    "attach_spatial_pyramid_gate",
]


class _SpatialPyramid(nn.Module):
    """The attention path, abstract: what reads which map is for the subclasses to say."""

    def __init__(
        self,
        channels_read: int,
        channels: int,
        *,
        scales: Sequence[int],
        reduction: int,
        squeezed: int,
        attended: str,
    ) -> None:
        super().__init__()
        if not scales or min(scales) < 1:
            raise ValueError(f"`scales` must be one or more positive numbers of cells a side, got {tuple(scales)}")
        if reduction < 1:
            raise ValueError(f"`reduction` must be positive, got {reduction}")
        hidden = max(squeezed // reduction, 1)
        self.scales = tuple(sorted(scales, reverse=True))
        self.weight = nn.Parameter(torch.ones(1, len(scales), 1, 1, 1))
        self.transform = nn.Sequential(
            nn.Conv2d(channels_read, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.before = Tap("before", word=attended)
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(side) for side in self.scales)
        self.pooled = nn.ModuleList(Tap("part") for _ in scales)
        self.scale_weights = Tap("scale weights")
        self.coarse_mask = Tap("mask")
        self.mask = Tap("mask", word="SPA")
        self.result = Tap("result")

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "_SpatialPyramid":  # noqa: FBT001 (torch's signature)
        # `to(memory_format=torch.channels_last)` fails on tensors of five dimensions, as the published weight has.
        def apply_to_any(tensor: Tensor) -> Tensor:
            return fn(tensor.flatten()).view_as(tensor) if tensor.ndim == 5 else fn(tensor)

        return super()._apply(apply_to_any, recurse)

    def _attend(self, read: Tensor, attended: Tensor) -> Tensor:
        attended = self.before(attended)
        maps = [tap(pool(read)) for tap, pool in zip(self.pooled, self.pools, strict=True)]
        maps = [F.interpolate(pooled, size=self.scales[0]) for pooled in maps]
        weights = self.scale_weights(self.weight.flatten())
        pyramid = (torch.stack(maps, 1) * weights.view_as(self.weight)).sum(1)
        mask = self.coarse_mask(self.transform(pyramid))
        return self.result(attended * self.mask(F.interpolate(mask, size=attended.shape[2:])))


class SpatialPyramidAttention(_SpatialPyramid):
    """Spatial pyramid attention of a map to itself, SPANet-A: channel weights that differ from region to region.

    With ρₛ for average pooling to s × s cells, U for nearest-neighbor up-sampling and τ for 1×1 convolutions without
    bias::

        S = Σₛ wₛ U(ρₛ(x))                               on the cells of the finest scale
        out = x ⊗ U(sigmoid(τ(relu(BN(τ(S))))))

    The weights w start at one and are not normalized. Submodules carry the names of the authors' state dicts.

    Source: equations 1 to 3 and figure 2.

    Args:
        channels: Channels C of x.
        scales: Sides of the pooled maps in cells, in any order, kept from fine to coarse: 7, 4, 1 for ImageNet and
            4, 2, 1 for images of 32 pixels in the paper.
        reduction: Channels r to one between the two convolutions; 8 in the paper's MobileNetV2.

    Raises:
        ValueError: If there is no scale, or a scale or the reduction is not positive.
    """

    def __init__(self, channels: int, *, scales: Sequence[int] = (7, 4, 1), reduction: int = 16) -> None:
        super().__init__(channels, channels, scales=scales, reduction=reduction, squeezed=channels, attended="features")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh a map; see the class.

        Args:
            x: Features.
        """
        return self._attend(x, x)


class SpatialPyramidGate(_SpatialPyramid):
    """Spatial pyramid attention of a block's input to the output of its branch, SPANet-B and SPANet-C.

    As `SpatialPyramidAttention`, but the pyramid is that of the block's input (before its normalization and activation,
    where it starts with them), whose channels C' and size may differ from the branch's. With `match`, and only where
    C' ≠ C, a channel matcher of two 1×1 convolutions stands before the pyramid.

    Source: equations 4 and 5, figures 1 and 2.

    Args:
        in_channels: Channels C' of the block's input.
        channels: Channels C of the branch's output.
        scales: As in `SpatialPyramidAttention`.
        reduction: As in `SpatialPyramidAttention`; the matcher's too.
        match: Whether unequal channels are matched (SPANet-C) or not (SPANet-B).
        wider: Whether the bottleneck that reads the block's input is max(C', C) / r wide, as the paper's text and the
            authors' DenseNets have it, or C / r, as their other networks have it.

    Raises:
        ValueError: If there is no scale, or a scale or the reduction is not positive.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        scales: Sequence[int] = (7, 4, 1),
        reduction: int = 16,
        match: bool = False,
        wider: bool = False,
    ) -> None:
        widest = max(in_channels, channels) if wider else channels
        super().__init__(
            channels if match else in_channels,
            channels,
            scales=scales,
            reduction=reduction,
            squeezed=channels if match else widest,
            attended="branch",
        )
        hidden = max(widest // reduction, 1)
        self.matcher = (
            nn.Sequential(
                nn.Conv2d(in_channels, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU(),
                nn.Conv2d(hidden, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )
            if match and in_channels != channels
            else nn.Identity()
        )

    def forward(
        self,
        branch: Float[Tensor, "batch channels height width"],
        block_input: Float[Tensor, "batch in_channels in_height in_width"],
    ) -> Float[Tensor, "batch channels height width"]:
        """Weigh the output of a block's branch by what the block's input shows; see the class.

        Args:
            branch: The branch's output, before the shortcut is added.
            block_input: The block's input.
        """
        return self._attend(self.matcher(block_input), branch)


def attach_spatial_pyramid(
    host: Host,
    *,
    scales: tuple[int, ...] | None = None,
    reduction: int | None = None,
    stages: tuple[int, ...] = (),
) -> None:
    """Add SPANet-A to the residual branch of every block, or of those in stages.

    Args:
        host: Where it goes.
        scales: As in `SpatialPyramidAttention`; None for the paper's.
        reduction: As in `SpatialPyramidAttention`; None for the network's own.
        stages: Numbers of the stages, from 1; none given means all blocks.
    """
    sides = _usual_scales(host) if scales is None else scales
    ratio = bottleneck_of(host.network, reduction=reduction).reduction

    def make(site: Site) -> nn.Module:
        return SpatialPyramidAttention(site.branch.channels, scales=sides, reduction=ratio)

    attend_branches(choose_sites(host, "spa_a", stages), "spa", make)


def attach_spatial_pyramid_gate(
    host: Host,
    *,
    match: bool,
    scales: tuple[int, ...] | None = None,
    reduction: int | None = None,
    wider: bool | None = None,
    stages: tuple[int, ...] = (),
) -> None:
    """Add SPANet-B or SPANet-C, a gate of what comes in, to the residual branch of every block or of those in stages.

    Args:
        host: Where it goes.
        match: As in `SpatialPyramidGate`: False is SPANet-B, True SPANet-C.
        scales: As in `SpatialPyramidGate`; None for the paper's.
        reduction: As in `SpatialPyramidGate`; None for the network's own.
        wider: As in `SpatialPyramidGate`; None for the network's own.
        stages: Numbers of the stages, from 1; none given means all blocks.

    Raises:
        ValueError: If `wider` is given and matters for no block.
    """
    name = "spa_c" if match else "spa_b"
    sites = choose_sites(host, name, stages)
    if wider is not None and all(site.input.channels <= site.branch.channels for site in sites):
        raise ValueError(f"`wider` of {name} is for blocks with fewer filters than input channels; here are none such")
    sides = _usual_scales(host) if scales is None else scales
    inside = bottleneck_of(host.network, reduction=reduction)

    def make(site: Site) -> nn.Module:
        return SpatialPyramidGate(
            site.input.channels,
            site.branch.channels,
            scales=sides,
            reduction=inside.reduction,
            match=match,
            wider=inside.wider if wider is None else wider,
        )

    gate_branches(sites, "spa", make)


def _usual_scales(host: Host) -> tuple[int, ...]:
    """What the paper takes: 7, 4, 1 behind a stem that reduces the image, 4, 2, 1 behind one that does not."""
    return (7, 4, 1) if host.sites[0].input.height < host.image_size else (4, 2, 1)
