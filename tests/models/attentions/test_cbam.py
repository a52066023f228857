import pytest
import torch

from gradscape.models import count_parameters
from gradscape.models.attentions.cbam import CBAM
from tests.models.attentions.conftest import Settle


def _sigmoid(x: torch.Tensor) -> torch.Tensor:
    return 1 / (1 + (-x).exp())


def test_channels_then_pixels_are_weighed(settle: Settle) -> None:
    module = CBAM(6, reduction=3)
    settle(module)
    height, width = 4, 9
    x = torch.randn(2, 6, height, width).double()
    first, second = module.mlp[0], module.mlp[2]
    norm = module.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    expected = torch.zeros_like(x)
    for image in range(2):
        pixels = x[image].flatten(1)
        scores = torch.zeros(6).double()
        for pooled in (pixels.sum(1) / pixels.shape[1], pixels.max(1).values):
            hidden = (first.weight @ pooled + first.bias).clamp(min=0)  # type: ignore[operator]
            scores += second.weight @ hidden + second.bias  # type: ignore[operator]
        weighed = x[image] * _sigmoid(scores)[:, None, None]
        statistics = torch.zeros(2, height + 6, width + 6).double()
        statistics[0, 3:-3, 3:-3] = weighed.max(0).values
        statistics[1, 3:-3, 3:-3] = weighed.sum(0) / 6
        for row in range(height):
            for column in range(width):
                seen = statistics[:, row : row + 7, column : column + 7]
                score = (module.conv.weight[0] * seen).sum()
                score = (score - norm.running_mean[0]) / (norm.running_var[0] + 1e-5).sqrt()
                gate = _sigmoid(score * norm.weight[0] + norm.bias[0])
                expected[image, :, row, column] = weighed[:, row, column] * gate
    torch.testing.assert_close(module(x), expected)


def test_parameters_of_networks_equal_the_published_ones(
    resnet18_widths: list[int], resnet50_widths: list[int], resnet101_widths: list[int], mobilenet_v2_widths: list[int]
) -> None:
    published = [
        (11_689_512, resnet18_widths, 16, 11_779_392),
        (25_557_032, resnet50_widths, 16, 28_089_624),
        (44_549_160, resnet101_widths, 16, 49_330_172),
        (3_504_872, mobilenet_v2_widths, 8, 3_565_192),
    ]
    with torch.device("meta"):
        for base, widths, reduction, total in published:
            assert base + sum(count_parameters(CBAM(width, reduction=reduction)) for width in widths) == total


def test_a_reduction_that_leaves_no_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`reduction` of an attention over 8 channels must be from 1 to 8, got 16$"):
        CBAM(8)
