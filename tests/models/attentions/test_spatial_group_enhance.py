import math

import pytest
import torch

from gradscape.models import count_parameters
from gradscape.models.attentions.spatial_group_enhance import SpatialGroupEnhance
from tests.models.attentions.conftest import Settle


def test_pixels_are_weighed_by_their_agreement_with_the_groups_average(settle: Settle) -> None:
    module = SpatialGroupEnhance(2)
    settle(module)
    x = torch.randn(3, 6, 2, 5).double()
    expected = x.clone()
    for image in range(3):
        for group in range(2):
            pixels = x[image, 3 * group : 3 * group + 3].flatten(1).T
            average = sum(pixels) / 10
            agreement = [float(average @ pixel) for pixel in pixels]
            mean = sum(agreement) / 10
            deviation = math.sqrt(sum((value - mean) ** 2 for value in agreement) / 10)
            for place, value in enumerate(agreement):
                score = float(module.scale[group]) * (value - mean) / (deviation + 1e-5) + float(module.offset[group])
                expected[image, 3 * group : 3 * group + 3, place // 5, place % 5] /= 1 + math.exp(-score)
    torch.testing.assert_close(module(x), expected)


def test_a_constant_map_has_finite_gradients() -> None:
    module = SpatialGroupEnhance(3)
    torch.nn.init.ones_(module.scale)
    x = torch.ones(2, 3, 1, 1, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_parameters_of_resnet_50_equal_the_published_ones(resnet50_widths: list[int]) -> None:
    with torch.device("meta"):
        added = sum(count_parameters(SpatialGroupEnhance()) for _ in resnet50_widths)
    assert 25_557_032 + added == 25_559_080


def test_groups_that_do_not_divide_the_channels_are_refused() -> None:
    message = "^`groups` of spatial group-wise enhance must divide the 6 channels of its input, got 4$"
    with pytest.raises(ValueError, match=message):
        SpatialGroupEnhance(4)(torch.zeros(2, 6, 3, 5))


def test_no_groups_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^`groups` of spatial group-wise enhance must be positive, got 0$"):
        SpatialGroupEnhance(0)
