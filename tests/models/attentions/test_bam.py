import pytest
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.attentions.bam import BAM
from tests.models.attentions.conftest import Settle


def _normalize(norm: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Batch normalization of channels that come first."""
    shape = (-1, *[1] * (x.dim() - 1))
    mean, variance, scale, offset = (
        getattr(norm, name).view(shape) for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * scale + offset


def _convolve(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """A convolution as the sum of its input shifted by what each weight sees."""
    assert conv.bias is not None
    reach, step = conv.kernel_size[0] // 2, conv.dilation[0]
    channels, height, width = x.shape
    margin = reach * step
    padded = torch.zeros(channels, height + 2 * margin, width + 2 * margin).double()
    padded[:, margin : margin + height, margin : margin + width] = x
    out = conv.bias[:, None, None].expand(-1, height, width).clone()
    for i in range(conv.kernel_size[0]):
        for j in range(conv.kernel_size[1]):
            seen = padded[:, i * step : i * step + height, j * step : j * step + width]
            for filter_ in range(conv.out_channels):
                for channel in range(channels):
                    out[filter_] += conv.weight[filter_, channel, i, j] * seen[channel]
    return out


@pytest.mark.parametrize("dilation", [1, 4])
def test_both_gates_together_raise_the_features(settle: Settle, dilation: int) -> None:
    module = BAM(6, reduction=2, dilation=dilation)
    settle(module)
    x = torch.randn(2, 6, 5, 8).double()
    channel_gate, spatial_gate = list(module.channel_gate), list(module.spatial_gate)
    expected = torch.zeros_like(x)
    for image in range(2):
        pooled = x[image].flatten(1).sum(1) / 40
        hidden = channel_gate[0].weight @ pooled + channel_gate[0].bias  # type: ignore[operator]
        hidden = _normalize(channel_gate[1], hidden).clamp(min=0)
        channel = channel_gate[3].weight @ hidden + channel_gate[3].bias  # type: ignore[operator]
        spatial = x[image]
        for layer in (0, 3, 6):
            conv = spatial_gate[layer]
            assert isinstance(conv, nn.Conv2d)
            spatial = _normalize(spatial_gate[layer + 1], _convolve(conv, spatial)).clamp(min=0)
        last = spatial_gate[9]
        assert isinstance(last, nn.Conv2d)
        product = channel[:, None, None] * _convolve(last, spatial)
        expected[image] = x[image] * (1 + 1 / (1 + (-product).exp()))
    torch.testing.assert_close(module(x), expected)


def test_parameters_of_networks_with_three_blocks_equal_the_published_ones() -> None:
    published = [
        (11_689_512, (64, 128, 256), 11_712_503),
        (25_557_032, (256, 512, 1024), 25_915_099),
        (23_705_252, (256, 512, 1024), 24_063_319),
        (44_549_160, (256, 512, 1024), 44_907_227),
    ]
    with torch.device("meta"):
        for base, widths, total in published:
            assert base + sum(count_parameters(BAM(width)) for width in widths) == total


def test_a_reduction_that_leaves_no_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`reduction` of an attention over 8 channels must be from 1 to 8, got 16$"):
        BAM(8)


def test_gates_of_the_equations_are_normalized_at_their_end_and_added(settle: Settle) -> None:
    module = BAM(6, reduction=2, dilation=1, layout="equations")
    settle(module)
    x = torch.randn(2, 6, 5, 8).double()
    channel_gate, spatial_gate = list(module.channel_gate), list(module.spatial_gate)
    expected = torch.zeros_like(x)
    for image in range(2):
        hidden = channel_gate[0].weight @ (x[image].flatten(1).sum(1) / 40) + channel_gate[0].bias  # type: ignore[operator]
        channel = channel_gate[2].weight @ hidden.clamp(min=0) + channel_gate[2].bias  # type: ignore[operator]
        channel = _normalize(channel_gate[3], channel)
        spatial = x[image]
        for layer in (0, 2, 4, 6):
            conv = spatial_gate[layer]
            assert isinstance(conv, nn.Conv2d)
            spatial = _convolve(conv, spatial)
            spatial = spatial.clamp(min=0) if layer < 6 else _normalize(spatial_gate[7], spatial)
        expected[image] = x[image] * (1 + 1 / (1 + (-channel[:, None, None] - spatial).exp()))
    torch.testing.assert_close(module(x), expected)


def test_gates_of_the_equations_have_a_parameter_and_a_half_more_for_each_channel() -> None:
    with torch.device("meta"):
        for width in (64, 256, 1024):
            added = count_parameters(BAM(width, layout="equations")) - count_parameters(BAM(width))
            assert added == 2 * width + 2 - 8 * (width // 16)
