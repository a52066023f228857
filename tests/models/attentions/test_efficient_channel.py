import math

import pytest
import timm
import torch

from gradscape.models import count_parameters
from gradscape.models.attentions.efficient_channel import EfficientChannelAttention
from tests.models.attentions.conftest import Settle


def test_channels_are_weighed_by_a_window_over_the_channels(settle: Settle) -> None:
    module = EfficientChannelAttention(6)
    settle(module)
    x = torch.randn(2, 6, 3, 5).double()
    kernel = module.conv.weight.flatten().tolist()
    assert len(kernel) == 3
    expected = x.clone()
    for image in range(2):
        pooled = [0.0, *(float(channel.sum()) / 15 for channel in x[image]), 0.0]
        for channel in range(6):
            score = sum(weight * pooled[channel + place] for place, weight in enumerate(kernel))
            expected[image, channel] /= 1 + math.exp(-score)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize("channels", [1, 2, 16, 24, 64, 100, 256, 320, 512, 1024, 2048, 4096])
def test_block_equals_timms_with_the_same_weights(settle: Settle, channels: int) -> None:
    module, reference = EfficientChannelAttention(channels), timm.layers.EcaModule(channels)
    settle(module)
    reference.double().load_state_dict(module.state_dict())
    x = torch.randn(2, channels, 1, 2).double()
    torch.testing.assert_close(module(x), reference(x))


def test_parameters_of_resnet_50_equal_timms(resnet50_widths: list[int]) -> None:
    with torch.device("meta"):
        added = sum(count_parameters(EfficientChannelAttention(width)) for width in resnet50_widths)
    assert 25_557_032 + added == 25_557_118
