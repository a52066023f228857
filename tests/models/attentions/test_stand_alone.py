import math

import pytest
import torch

from gradscape._taps import collected_taps
from gradscape.models import count_parameters
from gradscape.models.attentions.stand_alone import StandAloneAttention2d
from tests.models.attentions.conftest import Settle


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("kernel_size", "height", "width"), [(3, 4, 5), (5, 2, 3), (1, 3, 2)])
def test_pixels_attend_to_their_neighborhood(
    settle: Settle, kernel_size: int, height: int, width: int, stride: int
) -> None:
    module = StandAloneAttention2d(3, 8, kernel_size=kernel_size, stride=stride, heads=2)
    settle(module)
    reach = kernel_size // 2
    x = torch.randn(2, 3, height, width).double()
    q, k, v = (
        torch.einsum("oc,nchw->nohw", conv.weight[:, :, 0, 0], x) for conv in (module.query, module.key, module.value)
    )
    attended = torch.zeros(2, 8, height, width).double()
    affinity = torch.zeros(2, 2, height * width, height * width).double()
    for image in range(2):
        for head in range(2):
            depth = slice(4 * head, 4 * head + 4)
            for row, column in torch.cartesian_prod(torch.arange(height), torch.arange(width)).tolist():
                raised = {}
                for i in range(max(row - reach, 0), min(row + reach + 1, height)):
                    for j in range(max(column - reach, 0), min(column + reach + 1, width)):
                        place = [module.rows[:, i - row + reach], module.columns[:, j - column + reach]]
                        key = k[image, depth, i, j] + torch.cat(place)
                        raised[i, j] = math.exp(float(q[image, depth, row, column] @ key))
                for (i, j), value in raised.items():
                    weight = value / sum(raised.values())
                    affinity[image, head, row * width + column, i * width + j] = weight
                    attended[image, depth, row, column] += weight * v[image, depth, i, j]
    expected = attended
    if stride == 2:
        expected = torch.zeros(2, 8, math.ceil(height / 2), math.ceil(width / 2)).double()
        for row in range(expected.shape[2]):
            for column in range(expected.shape[3]):
                square = attended[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
                expected[:, :, row, column] = square.mean((2, 3))
    with collected_taps(module, ["affinity"]) as collected:
        torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(collected["affinity"][0], affinity)


def test_parameters_are_three_projections_and_an_embedding_for_every_row_and_column() -> None:
    with torch.device("meta"):
        module = StandAloneAttention2d(48, 64)
    assert count_parameters(module) == 3 * 48 * 64 + 7 * 8


def test_resnet_50_without_3x3_convolutions_has_the_printed_size() -> None:
    total = 25_557_032
    with torch.device("meta"):
        for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
            total += blocks * (count_parameters(StandAloneAttention2d(width, width)) - 9 * width**2)
    assert round(total / 1e6, 1) == 18.0


@pytest.mark.parametrize("kernel_size", [0, 4])
def test_a_window_without_a_middle_is_refused(kernel_size: int) -> None:
    message = f"^`kernel_size` of stand-alone attention must be odd, got {kernel_size}$"
    with pytest.raises(ValueError, match=message):
        StandAloneAttention2d(3, 16, kernel_size=kernel_size)


@pytest.mark.parametrize("heads", [0, 4])
def test_heads_that_do_not_divide_the_filters_are_refused(heads: int) -> None:
    message = f"^`heads` of stand-alone attention must be such that 2 × heads divides 12 filters, got {heads}$"
    with pytest.raises(ValueError, match=message):
        StandAloneAttention2d(3, 12, heads=heads)
