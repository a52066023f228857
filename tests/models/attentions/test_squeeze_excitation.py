import math

import pytest
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.attentions.squeeze_excitation import SqueezeExcitation, SqueezeExcitationGate
from tests.models.attentions.conftest import Settle


def _excite(excitation: nn.Module, pooled: list[float]) -> list[float]:
    """Linear, ReLU, linear, sigmoid in plain numbers."""

    def linear(name: str, values: list[float]) -> list[float]:
        layer = excitation.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        rows, parameters = layer.weight.tolist(), dict(layer.named_parameters())
        offsets = parameters["bias"].tolist() if "bias" in parameters else [0.0] * len(rows)
        return [
            sum(w * v for w, v in zip(row, values, strict=True)) + offset
            for row, offset in zip(rows, offsets, strict=True)
        ]

    hidden = [max(value, 0.0) for value in linear("0", pooled)]
    return [1 / (1 + math.exp(-value)) for value in linear("2", hidden)]


@pytest.mark.parametrize("bias", [True, False])
def test_channels_are_weighed_by_what_their_averages_excite(settle: Settle, *, bias: bool) -> None:
    module = SqueezeExcitation(6, reduction=2, bias=bias)
    settle(module)
    x = torch.randn(2, 6, 3, 5).double()
    expected = x.clone()
    for image in range(2):
        pooled = [float(x[image, channel].sum()) / 15 for channel in range(6)]
        for channel, weight in enumerate(_excite(module.excitation, pooled)):
            expected[image, channel] *= weight
    torch.testing.assert_close(module(x), expected)


def _matched(module: SqueezeExcitationGate, block_input: torch.Tensor) -> torch.Tensor:
    """The matcher's two convolutions as matrix products of each pixel's channels."""
    if isinstance(module.matcher, nn.Identity):
        return block_input
    matched = block_input
    for conv, norm in (("0", "1"), ("3", "4")):
        weight = module.matcher.get_parameter(f"{conv}.weight")[:, :, 0, 0]
        matched = torch.stack([weight @ image.flatten(1) for image in matched]).unflatten(2, block_input.shape[2:])
        layer = module.matcher.get_submodule(norm)
        mean, variance, scale, offset = (
            getattr(layer, name)[:, None, None] for name in ("running_mean", "running_var", "weight", "bias")
        )
        matched = (matched - mean) / (variance + 1e-5).sqrt() * scale + offset
        if conv == "0":
            matched = matched.clamp(min=0)
    return matched


@pytest.mark.parametrize("match", [True, False])
@pytest.mark.parametrize("in_channels", [4, 6])
def test_gate_weighs_the_branch_by_the_blocks_input(settle: Settle, in_channels: int, *, match: bool) -> None:
    module = SqueezeExcitationGate(in_channels, 6, reduction=2, match=match)
    settle(module)
    branch, block_input = torch.randn(2, 6, 3, 5).double(), torch.randn(2, in_channels, 6, 9).double()
    assert isinstance(module.matcher, nn.Identity) is (in_channels == 6 or not match)
    matched = _matched(module, block_input)
    expected = branch.clone()
    for image in range(2):
        pooled = [float(channel.mean()) for channel in matched[image]]
        for channel, weight in enumerate(_excite(module.excitation, pooled)):
            expected[image, channel] *= weight
    torch.testing.assert_close(module(branch, block_input), expected)


def test_parameters_of_imagenet_networks_equal_the_published_ones(
    resnet18_widths: list[int], resnet50_widths: list[int], resnet101_widths: list[int], mobilenet_v2_widths: list[int]
) -> None:
    published = [
        (11_689_512, resnet18_widths, 16, 11_778_592),
        (25_557_032, resnet50_widths, 16, 28_088_024),
        (44_549_160, resnet101_widths, 16, 49_326_872),
        (3_504_872, mobilenet_v2_widths, 16, 3_534_885),
        (3_504_872, mobilenet_v2_widths, 8, 3_563_492),
    ]
    with torch.device("meta"):
        for base, widths, reduction, total in published:
            added = sum(count_parameters(SqueezeExcitation(width, reduction=reduction)) for width in widths)
            assert base + added == total


def test_parameters_of_spanets_cifar_networks_equal_the_published_ones(
    resnet18_widths: list[int], resnet50_widths: list[int], resnet101_widths: list[int]
) -> None:
    published = [
        (11_217_316, resnet18_widths, (11_304_356, 11_293_604, 11_338_516)),
        (23_693_476, resnet50_widths, (26_208_420, 26_033_316, 26_737_796)),
        (42_685_604, resnet101_widths, (47_428_772, 47_253_668, 47_958_148)),
    ]
    with torch.device("meta"):
        for base, widths, totals in published:
            blocks = list(zip([64, *widths], widths, strict=False))
            own = [SqueezeExcitation(width, bias=False) for width in widths]
            crossing = [SqueezeExcitationGate(*block) for block in blocks]
            matching = [SqueezeExcitationGate(*block, match=True) for block in blocks]
            counts = tuple(base + sum(map(count_parameters, modules)) for modules in (own, crossing, matching))
            assert counts == totals


@pytest.mark.parametrize("reduction", [0, 9])
def test_a_reduction_that_leaves_no_channel_is_refused(reduction: int) -> None:
    message = f"^`reduction` of an attention over 8 channels must be from 1 to 8, got {reduction}$"
    with pytest.raises(ValueError, match=message):
        SqueezeExcitation(8, reduction=reduction)
    with pytest.raises(ValueError, match=message):
        SqueezeExcitationGate(4, 8, reduction=reduction)
