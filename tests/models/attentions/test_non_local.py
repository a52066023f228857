import math

import pytest
import torch
from torch import nn

from gradscape._taps import collected_taps
from gradscape.models import count_parameters
from gradscape.models.attentions.non_local import NonLocal
from tests.models.attentions.conftest import Settle


def test_pixels_gather_from_similar_ones(settle: Settle) -> None:
    module = NonLocal(4)
    settle(module)
    height, width = 2, 5
    x = torch.randn(3, 4, height, width).double()

    def embed(conv: nn.Conv2d, pixel: torch.Tensor) -> torch.Tensor:
        assert conv.bias is not None
        return conv.weight[:, :, 0, 0] @ pixel + conv.bias

    mean, variance, scale, offset = (
        getattr(module.norm, name) for name in ("running_mean", "running_var", "weight", "bias")
    )
    expected, affinity = x.clone(), torch.zeros(3, 1, 10, 10).double()
    for image in range(3):
        pixels = list(x[image].flatten(1).T)
        for i, pixel in enumerate(pixels):
            raised = [math.exp(float(embed(module.theta, pixel) @ embed(module.phi, other))) for other in pixels]
            gathered = torch.zeros(2).double()
            for j, other in enumerate(pixels):
                affinity[image, 0, i, j] = raised[j] / sum(raised)
                gathered += affinity[image, 0, i, j] * embed(module.g, other)
            part = (module.expand.weight[:, :, 0, 0] @ gathered - mean) / (variance + 1e-5).sqrt() * scale + offset
            expected[image, :, i // width, i % width] += part
    with collected_taps(module, ["affinity"]) as collected:
        torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(collected["affinity"][0], affinity)


def test_new_block_is_the_identity() -> None:
    x = torch.randn(2, 6, 3, 5)
    assert torch.equal(NonLocal(6)(x), x)


def test_weights_of_the_convolutions_equal_the_printed_ones() -> None:
    with torch.device("meta"):
        module = NonLocal(512)
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    assert sum(layer.weight.numel() for layer in convolutions) == 524_288
    assert count_parameters(module) == 524_288 + 3 * 256 + 2 * 512


def test_a_single_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`channels` of a non-local block must be at least 2, got 1$"):
        NonLocal(1)
