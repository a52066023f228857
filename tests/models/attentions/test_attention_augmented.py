import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gradscape._taps import collected_taps
from gradscape.models import count_parameters
from gradscape.models.attentions.attention_augmented import AttentionAugmentedConv2d
from tests.models.attentions.conftest import Settle


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(3, 5), (5, 2)])
def test_filters_are_a_convolutions_and_every_heads_attention(
    settle: Settle, height: int, width: int, stride: int
) -> None:
    module = AttentionAugmentedConv2d(3, 10, side=5, stride=stride, key_share=0.4, value_share=0.6, heads=2)
    settle(module)
    x = torch.randn(2, 3, height, width).double()
    keys, values, middle = 40, 6, (5 - 1) // stride
    rows, columns = math.ceil(height / stride), math.ceil(width / stride)
    seen = torch.zeros(2, 3, rows, columns).double()
    for row in range(rows):
        for column in range(columns):
            if stride == 1:
                seen[:, :, row, column] = x[:, :, row, column]
            else:
                top, left = max(2 * row - 1, 0), max(2 * column - 1, 0)
                seen[:, :, row, column] = x[:, :, top : 2 * row + 2, left : 2 * column + 2].mean((2, 3))
    projected = torch.einsum("oc,nchw->nohw", module.project.weight[:, :, 0, 0], seen)
    q, k, v = projected[:, :keys], projected[:, keys : 2 * keys], projected[:, 2 * keys :]
    places = [(row, column) for row in range(rows) for column in range(columns)]
    attended = torch.zeros(2, values, rows, columns).double()
    affinity = torch.zeros(2, 2, len(places), len(places)).double()
    for image in range(2):
        for head in range(2):
            depth = slice(20 * head, 20 * head + 20)
            for i, (row, column) in enumerate(places):
                raised = []
                for other_row, other_column in places:
                    key = k[image, depth, other_row, other_column] + module.rows[other_row - row + middle]
                    key = key + module.columns[other_column - column + middle]
                    raised.append(math.exp(float(q[image, depth, row, column] @ key) / math.sqrt(20)))
                for j, (other_row, other_column) in enumerate(places):
                    affinity[image, head, i, j] = raised[j] / sum(raised)
                    value = v[image, 3 * head : 3 * head + 3, other_row, other_column]
                    attended[image, 3 * head : 3 * head + 3, row, column] += affinity[image, head, i, j] * value
    mixed = torch.einsum("oc,nchw->nohw", module.mix.weight[:, :, 0, 0], attended)
    convolved = F.conv2d(x, module.conv.weight, stride=stride, padding=1)
    with collected_taps(module, ["affinity"]) as collected:
        torch.testing.assert_close(module(x), torch.cat([convolved, mixed], 1))
    torch.testing.assert_close(collected["affinity"][0], affinity)


def test_parameters_are_those_of_its_layers_and_two_tables() -> None:
    with torch.device("meta"):
        module = AttentionAugmentedConv2d(48, 64, side=14, stride=2, key_share=0.25, value_share=0.25, heads=2)
    convolution, projection, mixing, tables = 9 * 48 * 48, 48 * (2 * 40 + 16), 16 * 16, 2 * (2 * 7 - 1) * 20
    assert count_parameters(module) == convolution + projection + mixing + tables


@pytest.mark.parametrize(("base", "blocks", "printed"), [(25_557_032, 6, 25.8), (44_549_160, 23, 45.4)])
def test_resnets_with_attention_in_their_last_three_stages_have_the_printed_size(
    base: int, blocks: int, printed: float
) -> None:
    total = base
    with torch.device("meta"):
        for width, side, number in ((128, 28, 4), (256, 14, blocks), (512, 7, 3)):
            first = AttentionAugmentedConv2d(width, width, side=2 * side, stride=2)
            other = AttentionAugmentedConv2d(width, width, side=side)
            total += count_parameters(first) + (number - 1) * count_parameters(other) - number * 9 * width**2
    assert round(total / 1e6, 1) == printed


@pytest.mark.parametrize(("share", "keys"), [(0.01, 40), (0.5, 40), (0.6, 48), (0.61, 48), (1.0, 80)])
def test_every_head_has_twenty_key_channels_at_least(share: float, keys: int) -> None:
    module = AttentionAugmentedConv2d(4, 80, side=4, key_share=share, value_share=0.1, heads=2)
    assert module.project.out_channels == 2 * keys + 8


@pytest.mark.parametrize(("share", "values"), [(0.01, 8), (0.2, 16), (0.25, 16), (0.5, 32)])
def test_shares_are_rounded_to_whole_heads(share: float, values: int) -> None:
    module = AttentionAugmentedConv2d(4, 64, side=4, value_share=share)
    assert module.mix.out_channels == values
    assert module.conv.out_channels == 64 - values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"key_share": 0.0},
            "`key_share` of an attention-augmented convolution must be above 0 and at most 1, got 0.0",
        ),
        (
            {"value_share": 2.0},
            "`value_share` of an attention-augmented convolution must be above 0 and at most 1, got 2.0",
        ),
        (
            {"value_share": 1.0},
            "`value_share` must leave some of 16 filters to the convolution, got 1.0, which is 16 for 8 heads",
        ),
        ({"heads": 0}, "`heads` of an attention-augmented convolution must be positive, got 0"),
        ({"side": 0}, "`side` of an attention-augmented convolution must be positive, got 0"),
    ],
)
def test_impossible_arguments_are_refused_with_the_reason(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        AttentionAugmentedConv2d(4, 16, **{"side": 4, **arguments})


def test_a_map_larger_than_it_was_made_for_is_refused() -> None:
    module = AttentionAugmentedConv2d(3, 16, side=4)
    message = (
        "^`side` of an attention-augmented convolution must be at least that of its input, whose map is 2×5, got 4;"
        " create it for that size$"
    )
    with pytest.raises(ValueError, match=message):
        module(torch.zeros(2, 3, 2, 5))
