"""Selective kernels (SK): Li, Wang, Hu and Yang, "Selective Kernel Networks", 2019, arXiv:1903.06586.

Differs from the paper, as timm's `skresnet50` does, whose size it has:

- Either kernel sees one half of the input channels, so that two cost no more parameters than one did.
- The bottleneck is at least 8 channels wide; the paper has 32.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._taps import Tap
from gradscape.models.sites import Host, Site, replace_convolutions, spatial_convolution

__all__ = ["SelectiveKernel", "attach_selective_kernel"]


def _kernel(channels: int, filters: int, *, dilation: int, stride: int, groups: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
    )


class SelectiveKernel(nn.Module):
    """Two convolutions, one with a dilated kernel, between which every channel chooses; in place of conv, BN and ReLU.

    With x split into halves a and b along its channels::

        u = relu(BN(conv3×3(a)))        v = relu(BN(dilated conv3×3(b)))
        s, t = the halves of B relu(BN(A mean(u + v)))
        out = u + w * (v - u)        w = exp(t) / (exp(s) + exp(t))

    Taps: `before`, `channel` (N, C, 1, 1), the dilated kernel's weight w; `result`.

    Source: section 3.1, equations 1 to 6.

    Args:
        channels: Channels of x.
        filters: Channels of the output.
        stride: Stride of the convolutions.
        groups: Groups of each convolution.

    Raises:
        ValueError: If the channels or filters cannot be divided as asked.
    """

    def __init__(self, channels: int, filters: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        if groups < 1 or channels % (2 * groups) or filters % groups:
            raise ValueError(
                f"`groups` of a selective kernel must divide {filters} filters and half of {channels} channels,"
                f" got {groups}"
            )
        hidden = max(filters // 16, 8)
        self.before = Tap("before")
        self.near = _kernel(channels // 2, filters, dilation=1, stride=stride, groups=groups)
        self.far = _kernel(channels // 2, filters, dilation=2, stride=stride, groups=groups)
        self.choice = nn.Sequential(
            nn.Conv2d(filters, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Conv2d(hidden, 2 * filters, 1, bias=False),
        )
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters out_height out_width"]:
        """Convolve and choose; see the class."""
        near, far = self.before(x).chunk(2, 1)
        near, far = self.near(near), self.far(far)
        near_score, far_score = self.choice((near + far).mean((2, 3), keepdim=True)).chunk(2, 1)
        # A softmax over two scores is the sigmoid of their difference.
        weights = self.channel(torch.sigmoid(far_score - near_score))
        return self.result(near + weights * (far - near))


def attach_selective_kernel(host: Host) -> None:
    """Replace every block's spatial convolution, with the normalization and the ReLU after it.

    Args:
        host: Where selective kernels go.
    """

    def make(site: Site) -> nn.Module:
        old = spatial_convolution(site)
        return SelectiveKernel(old.in_channels, old.out_channels, stride=old.stride[0], groups=old.groups)

    replace_convolutions(host.sites, make, normalized=True)
