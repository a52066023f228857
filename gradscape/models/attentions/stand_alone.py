"""Stand-alone self-attention (SASA): Ramachandran et al., "Stand-Alone Self-Attention in Vision Models", 2019.

arXiv:1906.05909.

Differs from the paper, which does not say how these are done:

- Neighbors outside of the map have no weight.
- The relative positions' embeddings are shared by the heads.
- Maps of an odd side are pooled with a last window of one row or column, so that they get the size that a convolution
  of this stride gives them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import Tap
from gradscape.models.sites import Host, Site, replace_convolutions, spatial_convolution

__all__ = ["StandAloneAttention2d", "attach_stand_alone"]


class StandAloneAttention2d(nn.Module):
    """Self-attention of every pixel to its neighborhood, in place of a convolution.

    For each head, over the pixels j of a window around i, and followed by average pooling where there is a stride::

        y_i = Σ_j softmax_j(q_i · (k_j + [r^H(row j - row i); r^W(column j - column i)])) v_j

    Taps: `before`, `affinity` (N, heads, H·W, H·W) before the pooling, zero outside of the windows and computed only
    where someone listens; `result`.

    Source: equations 2 and 3; section 3.

    Args:
        channels: Channels of x.
        filters: Channels of the output.
        kernel_size: Side of the window in pixels.
        stride: Side of the pooled squares in pixels.
        heads: Number of heads.

    Raises:
        ValueError: If the window has no middle, or the filters cannot be divided among the heads.
    """

    def __init__(self, channels: int, filters: int, *, kernel_size: int = 7, stride: int = 1, heads: int = 8) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` of stand-alone attention must be odd, got {kernel_size}")
        if heads < 1 or filters % (2 * heads):
            raise ValueError(
                f"`heads` of stand-alone attention must be such that 2 × heads divides {filters} filters, got {heads}"
            )
        self.kernel_size, self.stride, self.heads = kernel_size, stride, heads
        self.before = Tap("before")
        self.query = nn.Conv2d(channels, filters, 1, bias=False)
        self.key = nn.Conv2d(channels, filters, 1, bias=False)
        self.value = nn.Conv2d(channels, filters, 1, bias=False)
        depth = filters // (2 * heads)
        self.rows = nn.Parameter(depth**-0.5 * torch.randn(depth, kernel_size))
        self.columns = nn.Parameter(depth**-0.5 * torch.randn(depth, kernel_size))
        self.affinity = Tap("affinity")
        self.result = Tap("result")

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch filters out_height out_width"]:
        """Attend to the neighborhoods; see the class."""
        x = self.before(x)
        size = x.shape[2:]
        query = self.query(x).unflatten(1, (self.heads, -1)).flatten(3)  # (N, heads, d, H·W)
        key, value = self._windows(self.key(x)), self._windows(self.value(x))  # (N, heads, d, window, H·W)
        outside = self._unfold(torch.ones_like(x[:1, :1])) == 0  # (1, window, H·W)
        scores = torch.einsum("nhdp,nhdwp->nhwp", query, key)
        scores = scores + torch.einsum("nhdp,dw->nhwp", query, self._positions())
        weights = scores.masked_fill(outside, -torch.inf).softmax(2)
        if self.affinity.observed:
            self.affinity(self._affinity(weights, *size))
        attended = torch.einsum("nhwp,nhdwp->nhdp", weights, value).flatten(1, 2).unflatten(2, size)
        if self.stride > 1:
            attended = F.avg_pool2d(attended, self.stride, ceil_mode=True)
        return self.result(attended)

    def _unfold(self, x: Tensor) -> Tensor:
        return F.unfold(x, self.kernel_size, padding=self.kernel_size // 2)

    def _windows(
        self, x: Float[Tensor, "batch filters height width"]
    ) -> Float[Tensor, "batch heads depth window pixels"]:
        return self._unfold(x).unflatten(1, (self.heads, -1, self.kernel_size**2))

    def _positions(self) -> Float[Tensor, "depth window"]:
        """Embedding of every place in the window: its row's, then its column's."""
        rows = self.rows[:, :, None].expand(-1, -1, self.kernel_size)
        columns = self.columns[:, None, :].expand(-1, self.kernel_size, -1)
        return torch.cat([rows, columns]).flatten(1)

    def _affinity(
        self, weights: Float[Tensor, "batch heads window pixels"], height: int, width: int
    ) -> Float[Tensor, "batch heads pixels pixels"]:
        """The windows' weights at their pixels' places in the whole map."""
        margin = self.kernel_size // 2
        padded = (height + 2 * margin, width + 2 * margin)
        places = torch.arange(padded[0] * padded[1], device=weights.device).view(padded)
        windows = places.unfold(0, self.kernel_size, 1).unfold(1, self.kernel_size, 1).reshape(height * width, -1)
        spread = weights.new_zeros(*weights.shape[:2], height * width, padded[0] * padded[1])
        spread = spread.scatter(3, windows.expand(*weights.shape[:2], -1, -1), weights.transpose(2, 3))
        inside = (slice(margin, margin + height), slice(margin, margin + width))
        return spread.unflatten(3, padded)[..., inside[0], inside[1]].flatten(3)


def attach_stand_alone(host: Host, *, kernel_size: int = 7, heads: int = 8) -> None:
    """Replace every block's spatial convolution.

    Args:
        host: Where stand-alone attention goes.
        kernel_size: As in `StandAloneAttention2d`.
        heads: As in `StandAloneAttention2d`.
    """

    def make(site: Site) -> nn.Module:
        old = spatial_convolution(site)
        return StandAloneAttention2d(
            old.in_channels, old.out_channels, kernel_size=kernel_size, stride=old.stride[0], heads=heads
        )

    replace_convolutions(host.sites, make)
