"""The units of AttentionNeXt and AttentionInception; those of the report are held with its attention modules."""

import pytest
import torch
from torch import Tensor, nn

from gradscape.models.counting import count_parameters
from gradscape.models.residual_attention_imagenet import STYLE
from gradscape.models.residual_units import AggregatedUnit, InceptionUnit, TensorflowConv2d, UnitStyle
from tests.models.plain_layers import batch_normalized


def _settled(module: nn.Module) -> nn.Module:
    """Weights and statistics as if trained, in float64."""
    module.double().eval().requires_grad_(False)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_()
    return module


def _neighborhood(x: Tensor, weight: Tensor, *, groups: int, stride: int) -> Tensor:
    """A 3×3 convolution with zeros around it, filter by filter and weight by weight."""
    batch, channels, height, width = x.shape
    padded = torch.zeros(batch, channels, height + 2, width + 2, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    filters, inside = len(weight), channels // groups
    out = torch.zeros(batch, filters, height, width, dtype=x.dtype)
    for filter_ in range(filters):
        first = filter_ // (filters // groups) * inside
        for channel in range(inside):
            for row in range(3):
                for column in range(3):
                    seen = padded[:, first + channel, row : row + height, column : column + width]
                    out[:, filter_] += weight[filter_, channel, row, column] * seen
    return out[:, :, ::stride, ::stride]


def _layers(layers: nn.Module, x: Tensor) -> Tensor:
    """Convolutions, normalizations and rectifiers, one after the other."""
    for layer in layers.children():
        if isinstance(layer, nn.BatchNorm2d):
            x = batch_normalized(x, layer, training=False)
        elif isinstance(layer, nn.ReLU):
            x = x.clamp(min=0)
        else:
            assert isinstance(layer, nn.Conv2d)
            weight, stride = layer.weight, layer.stride[0]
            if weight.shape[2:] == (1, 1):
                x = torch.einsum("oc,nchw->nohw", weight[:, :, 0, 0], x)[:, :, ::stride, ::stride]
            else:
                x = _neighborhood(x, weight, groups=layer.groups, stride=stride)
    return x


@pytest.mark.parametrize(("channels", "stride"), [(64, 1), (32, 2)])
def test_aggregated_unit_rectifies_the_sum_of_its_grouped_bottleneck_and_its_shortcut(
    channels: int, stride: int
) -> None:
    torch.manual_seed(0)
    unit = _settled(AggregatedUnit(channels, 64, stride=stride, style=STYLE))
    assert isinstance(unit, AggregatedUnit)
    x = torch.randn(2, channels, 4, 6).double()
    shortcut = x if stride == 1 else _layers(unit.shortcut, x)
    torch.testing.assert_close(unit(x), (shortcut + _layers(unit.branch, x)).clamp(min=0))
    grouped = unit.get_parameter("branch.3.weight")
    assert grouped.shape == (32, 1, 3, 3)  # 32 groups of one channel


@pytest.mark.parametrize(("channels", "stride"), [(16, 1), (8, 2)])
def test_inception_unit_rectifies_the_sum_of_its_mixed_paths_and_its_shortcut(channels: int, stride: int) -> None:
    torch.manual_seed(0)
    unit = _settled(InceptionUnit(channels, 16, stride=stride, style=STYLE))
    assert isinstance(unit, InceptionUnit)
    x = torch.randn(2, channels, 4, 6).double()
    paths = torch.cat([_layers(path, x) for path in unit.paths], 1)
    assert paths.shape == (2, 6, 4 // stride, 6 // stride)
    shortcut = x if stride == 1 else _layers(unit.shortcut, x)
    torch.testing.assert_close(unit(x), (shortcut + _layers(unit.mix, paths)).clamp(min=0))


@pytest.mark.parametrize(
    ("unit", "weights", "normalized"),
    [(AggregatedUnit, 256 * 128 * 2 + 9 * 128 * 128 // 32, 512), (InceptionUnit, 256 * 32 * 6 + 27 * 32 * 32, 448)],
)
def test_units_have_the_weights_of_their_convolutions_and_two_for_each_normalized_channel(
    unit: type[nn.Module], weights: int, normalized: int
) -> None:
    with torch.device("meta"):
        assert count_parameters(unit(256, 256, style=STYLE)) == weights + 2 * normalized


@pytest.mark.parametrize("size", [3, 5])
def test_tensorflow_pads_even_sizes_by_one_pixel_less_at_their_beginning(size: int) -> None:
    torch.manual_seed(0)
    convolution, x = TensorflowConv2d(2, 3, size, 2, bias=False), torch.randn(2, 2, 7, 8)
    same = nn.functional.conv2d(x, convolution.weight, padding=size // 2)
    torch.testing.assert_close(convolution(x), same[:, :, ::2, 1::2])


def test_only_units_that_rectify_first_leave_something_to_finish() -> None:
    assert len(UnitStyle().finish(4)) == 2
    assert UnitStyle(kind="aggregated").finish(4) == UnitStyle(kind="inception").finish(4) == []
