"""Spatial group-wise enhance (SGE): Li, Hu and Yang, "Spatial Group-wise Enhance", 2019.

In full "Spatial Group-wise Enhance: Improving Semantic Feature Learning in Convolutional Networks", arXiv:1905.09646.

Differs from the paper: nothing known; the offset starts at one as in the authors' published code.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.sites import Host, attend_branches

__all__ = ["SpatialGroupEnhance", "attach_spatial_group_enhance"]


class SpatialGroupEnhance(nn.Module):
    """In each group of channels, pixels are weighed by how much they agree with the group's average.

    For a group's features x with pixels p::

        c_p = mean(x) · x_p        out_p = x_p * sigmoid(scale (c_p - mean(c)) / (std(c) + 1e-5) + offset)

    Taps: `before`, `mask` (N, C, H, W), the same for all channels of a group; `result`.

    Source: equations 1 to 5.

    Args:
        groups: Number of groups, which must divide the channels.

    Raises:
        ValueError: If `groups` is not positive, and in the forward pass if it does not divide the channels.
    """

    def __init__(self, groups: int = 64) -> None:
        super().__init__()
        if groups < 1:
            raise ValueError(f"`groups` of spatial group-wise enhance must be positive, got {groups}")
        self.groups = groups
        self.before = Tap("before")
        self.scale = nn.Parameter(torch.zeros(groups, 1, 1))
        self.offset = nn.Parameter(torch.ones(groups, 1, 1))
        self.mask = Tap("mask")
        self.result = Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh groups of channels pixel by pixel; see the class."""
        channels = x.shape[1]
        if channels % self.groups:
            raise ValueError(
                f"`groups` of spatial group-wise enhance must divide the {channels} channels of its input,"
                f" got {self.groups}"
            )
        x = self.before(x)
        grouped = x.unflatten(1, (self.groups, channels // self.groups))
        agreement = (grouped * grouped.mean((3, 4), keepdim=True)).sum(2)  # (N, groups, H, W)
        centered = agreement - agreement.mean((2, 3), keepdim=True)
        normalized = centered / (agreement.std((2, 3), correction=0, keepdim=True) + 1e-5)
        mask = torch.sigmoid(self.scale * normalized + self.offset)
        return self.result(x * self.mask(mask.repeat_interleave(channels // self.groups, 1)))


def attach_spatial_group_enhance(host: Host, *, groups: int = 64) -> None:
    """Add SGE to every block's residual branch.

    Args:
        host: Where it goes.
        groups: As in `SpatialGroupEnhance`.
    """
    attend_branches(host.sites, "sge", lambda _: SpatialGroupEnhance(groups))
