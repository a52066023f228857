"""Attention-augmented convolution (AA): Bello et al., "Attention Augmented Convolutional Networks", 2019.

arXiv:1904.09925.

Differs from the paper:

- Shares of the filters are rounded to the nearest multiple of the heads, and never to fewer than the heads.
- Maps may be smaller than the one it is made for: they use the middle of the table of relative positions.
- Where the convolution has a stride, attention sees the map after 3×3 average pooling of that stride, as the paper's
  section 3.3 pools large maps, and is not enlarged again.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.sites import Host, Site, replace_convolutions, sites_of_stages, spatial_convolution

__all__ = ["AttentionAugmentedConv2d", "attach_attention_augmented"]


class AttentionAugmentedConv2d(nn.Module):
    """A 3×3 convolution some of whose filters are replaced by self-attention over the whole map.

    For features x, and for each head with d channels of q and k, and r shared by the heads::

        out = [conv3×3(x); W O]
        O_i = Σ_j softmax_j(q_i · (k_j + r^H(row j - row i) + r^W(column j - column i)) / sqrt(d)) v_j

    Taps: `before`, `affinity` (N, heads, h·w, h·w) at the output's size, `result`.

    Source: equations 1 to 4; sections 3.2 and 3.3.

    Args:
        channels: Channels of x.
        filters: Channels of the output.
        side: The longer side, in pixels, of the largest x.
        stride: Stride in pixels.
        key_share: Channels of the keys of all heads, over `filters` (κ); each head has 20 at least, as in the paper.
        value_share: Channels of the values of all heads, over `filters` (υ); the convolution has the remaining filters.
        heads: Number of heads.

    Raises:
        ValueError: If an argument is out of range or leaves no filter to the convolution; in the forward pass, if a
            side of x exceeds `side`.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        *,
        side: int,
        stride: int = 1,
        key_share: float = 0.2,
        value_share: float = 0.1,
        heads: int = 8,
    ) -> None:
        super().__init__()
        for name, value in (("side", side), ("stride", stride), ("heads", heads)):
            if value < 1:
                raise ValueError(f"`{name}` of an attention-augmented convolution must be positive, got {value}")
        keys = max(_shared("key_share", key_share, filters=filters, heads=heads), 20 * heads)
        values = _shared("value_share", value_share, filters=filters, heads=heads)
        if values >= filters:
            raise ValueError(
                f"`value_share` must leave some of {filters} filters to the convolution, got {value_share},"
                f" which is {values} for {heads} heads"
            )
        self.heads, self.stride, self.side = heads, stride, side
        self.widths = (keys, keys, values)
        self.before = Tap("before")
        self.conv = nn.Conv2d(channels, filters - values, 3, stride, padding=1, bias=False)
        self.project = nn.Conv2d(channels, sum(self.widths), 1, bias=False)
        depth = keys // heads
        self.reach = (side - 1) // stride
        self.rows = nn.Parameter(depth**-0.5 * torch.randn(2 * self.reach + 1, depth))
        self.columns = nn.Parameter(depth**-0.5 * torch.randn(2 * self.reach + 1, depth))
        self.affinity = Tap("affinity")
        self.mix = nn.Conv2d(values, values, 1, bias=False)
        self.result = Tap("result")

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters out_height out_width"]:
        """Convolve and attend; see the class."""
        if max(x.shape[2:]) > self.side:
            raise ValueError(
                f"`side` of an attention-augmented convolution must be at least that of its input, whose map is"
                f" {x.shape[2]}×{x.shape[3]}, got {self.side}; create it for that size"
            )
        x = self.before(x)
        return self.result(torch.cat([self.conv(x), self.mix(self._attend(x))], 1))

    def _attend(self, x: Tensor) -> Tensor:
        """Attention's values at the output's size, the heads behind one another."""
        if self.stride > 1:
            x = F.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)
        size = x.shape[2:]
        q, k, v = (part.unflatten(1, (self.heads, -1)).flatten(3) for part in self.project(x).split(self.widths, 1))
        q = (q * q.shape[2] ** -0.5).transpose(2, 3)  # (N, heads, h·w, d)
        scores = q @ k + self._position_scores(q.unflatten(2, size))
        affinity = self.affinity(scores.softmax(3))
        return (v @ affinity.transpose(2, 3)).flatten(1, 2).unflatten(2, size)

    def _position_scores(
        self, q: Float[Tensor, "batch heads height width depth"]
    ) -> Float[Tensor, "batch heads pixels pixels"]:
        """How well every query fits to the way to every other pixel."""
        height, width = q.shape[2:4]
        rows = self.rows[self._offsets(height)]  # (height, height, d)
        columns = self.columns[self._offsets(width)]
        along_rows = torch.einsum("nhijd,ird->nhijr", q, rows)
        along_columns = torch.einsum("nhijd,jcd->nhijc", q, columns)
        return (along_rows[..., :, None] + along_columns[..., None, :]).flatten(4).flatten(2, 3)

    def _offsets(self, size: int) -> Int[Tensor, "size size"]:
        """Row of the table for the way from each of `size` places to each other."""
        places = torch.arange(size, device=self.rows.device)
        return places[None, :] - places[:, None] + self.reach


def _shared(name: str, share: float, *, filters: int, heads: int) -> int:
    if not 0 < share <= 1:
        raise ValueError(f"`{name}` of an attention-augmented convolution must be above 0 and at most 1, got {share}")
    return heads * max(1, round(share * filters / heads))


def attach_attention_augmented(
    host: Host,
    *,
    stages: tuple[int, ...] = (),
    key_share: float = 0.2,
    value_share: float = 0.1,
    heads: int = 8,
) -> None:
    """Replace the spatial convolution of every block in stages.

    Args:
        host: Where attention-augmented convolutions go.
        stages: Numbers of the stages, from 1; none given means all but the first, whose maps are too large for every
            pixel to look at all others. The paper leaves them alone too.
        key_share: As in `AttentionAugmentedConv2d`.
        value_share: As in `AttentionAugmentedConv2d`.
        heads: As in `AttentionAugmentedConv2d`.
    """

    def make(site: Site) -> nn.Module:
        old = spatial_convolution(site)
        return AttentionAugmentedConv2d(
            old.in_channels,
            old.out_channels,
            side=site.convolved.height if site.convolved else 1,
            stride=old.stride[0],
            key_share=key_share,
            value_share=value_share,
            heads=heads,
        )

    chosen = sites_of_stages(host.network, host.sites, "aa", stages)[0 if stages else 1 :]
    replace_convolutions([site for inside in chosen for site in inside], make)
