import math

import torch

from gradscape.models import count_parameters
from gradscape.models.attentions.style_recalibration import StyleRecalibration
from tests.models.attentions.conftest import Settle


def test_channels_are_weighed_by_their_own_mean_and_deviation(settle: Settle) -> None:
    module = StyleRecalibration(4)
    settle(module)
    norm = module.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    x = torch.randn(3, 4, 2, 5).double()
    expected = x.clone()
    for image in range(3):
        for channel in range(4):
            values = x[image, channel].flatten().tolist()
            mean = sum(values) / len(values)
            variance = sum((value - mean) ** 2 for value in values) / len(values)
            a, b = module.style[channel].tolist()
            encoding = a * mean + b * math.sqrt(variance + 1e-5)
            encoding = (encoding - norm.running_mean[channel]) / math.sqrt(norm.running_var[channel] + 1e-5)
            gate = float(encoding * norm.weight[channel] + norm.bias[channel])
            expected[image, channel] /= 1 + math.exp(-gate)
    torch.testing.assert_close(module(x), expected)


def test_a_constant_map_has_finite_gradients() -> None:
    module = StyleRecalibration(3)
    torch.nn.init.ones_(module.style)
    x = torch.ones(2, 3, 1, 1, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_parameters_of_networks_equal_the_published_ones(
    resnet50_widths: list[int], resnet101_widths: list[int]
) -> None:
    with torch.device("meta"):
        added = [sum(count_parameters(StyleRecalibration(c)) for c in w) for w in (resnet50_widths, resnet101_widths)]
    assert [25_557_032 + added[0], 44_549_160 + added[1]] == [25_617_448, 44_679_208]
