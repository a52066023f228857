import math

import pytest
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.attentions.gather_excite import GatherExcite, GatherExciteTheta
from tests.models.attentions.conftest import Settle


def test_without_parameters_a_channel_is_weighed_by_the_sigmoid_of_its_average() -> None:
    module = GatherExcite()
    x = torch.randn(2, 3, 4, 5).double()
    expected = x.clone()
    for image in range(2):
        for channel in range(3):
            expected[image, channel] /= 1 + math.exp(-float(x[image, channel].sum()) / 20)
    torch.testing.assert_close(module(x), expected)
    assert count_parameters(module) == 0


def _gathered(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Depthwise 3×3 convolution of stride two and its normalization, product by product."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    channels, height, width = x.shape
    out = torch.zeros(channels, math.ceil(height / 2), math.ceil(width / 2)).double()
    for channel, row, column in torch.cartesian_prod(*map(torch.arange, out.shape)).tolist():
        total = 0.0
        for i in range(3):
            for j in range(3):
                y, z = 2 * row + i - 1, 2 * column + j - 1
                if 0 <= y < height and 0 <= z < width:
                    total += float(conv.weight[channel, 0, i, j] * x[channel, y, z])
        normalized = (total - norm.running_mean[channel]) / (norm.running_var[channel] + norm.eps).sqrt()
        out[channel, row, column] = normalized * norm.weight[channel] + norm.bias[channel]
    return out


def test_gathered_context_weighs_every_pixel_below_it(settle: Settle) -> None:
    module = GatherExciteTheta(3, extent=4)
    settle(module)
    x = torch.randn(2, 3, 8, 12).double()
    layers = list(module.gather)
    expected = x.clone()
    for image in range(2):
        first = _gathered(layers[0], layers[1], x[image]).clamp(min=0)  # type: ignore[arg-type]
        coarse = _gathered(layers[3], layers[4], first)  # type: ignore[arg-type]
        assert coarse.shape == (3, 2, 3)
        for channel, row, column in torch.cartesian_prod(*map(torch.arange, (3, 8, 12))).tolist():
            context = float(coarse[channel, row // 4, column // 4])
            expected[image, channel, row, column] /= 1 + math.exp(-context)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (7, 5)])
def test_maps_smaller_than_the_extent_are_weighed_as_a_whole(settle: Settle, height: int, width: int) -> None:
    module = GatherExciteTheta(3)
    settle(module)
    x = torch.randn(2, 3, height, width).double()
    ratio = (module(x) / x).flatten(2)
    torch.testing.assert_close(ratio, ratio[:, :, :1].expand_as(ratio))


def test_parameters_of_mobilenet_v2_equal_the_published_ones(mobilenet_v2_widths: list[int]) -> None:
    with torch.device("meta"):
        added = sum(count_parameters(GatherExciteTheta(width)) for width in mobilenet_v2_widths)
    assert 3_504_872 + added == 3_554_504


@pytest.mark.parametrize("extent", [-2, 0, 1, 6])
def test_an_extent_that_is_no_power_of_two_is_refused(extent: int) -> None:
    with pytest.raises(ValueError, match=f"^`extent` of gather-excite must be a power of two from 2 on, got {extent}$"):
        GatherExciteTheta(3, extent=extent)
