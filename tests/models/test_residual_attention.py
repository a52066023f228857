from collections import Counter

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import collected_taps
from gradscape.models.residual_attention import (
    Activation,
    AttentionModule,
    Learning,
    ResidualAttentionNetwork,
    SoftMask,
)
from gradscape.models.residual_attention_imagenet import STYLE as IMAGENET_STYLE
from gradscape.models.residual_units import ResidualUnit, UnitStyle
from tests.models.residual_attention_anatomy import (
    check_between_zero_and_one,
    count_trunk_layers,
    keras_counts,
)

REPORT_STYLE = UnitStyle()
TENSORFLOW_STYLE = UnitStyle(shortcut="always", padding="tensorflow", pool_padding="tensorflow")

# (depth, classes, activation) -> total, trainable, moving statistics, as the report prints them.
PRINTED: dict[tuple[int, int, Activation], tuple[int, int, int]] = {
    (56, 10, "mixed"): (2_892_970, 2_877_290, 15_680),
    (56, 10, "spatial"): (2_893_866, 2_878_186, 15_680),
    (92, 10, "spatial"): (9_396_778, 9_365_738, 31_040),
    (56, 100, "mixed"): (2_939_140, 2_923_460, 15_680),
    (56, 100, "spatial"): (2_940_036, 2_924_356, 15_680),
}
# The same networks, from the report's code where shapes are compared as it was meant.
IDENTITY_TOTALS: dict[tuple[int, int, Activation], int] = {
    (56, 10, "mixed"): 1_836_010,
    (56, 10, "spatial"): 1_836_906,
    (92, 10, "spatial"): 5_713_258,
    (56, 100, "mixed"): 1_882_180,
    (56, 100, "spatial"): 1_883_076,
}


@pytest.mark.parametrize("learning", ["arl", "nal"])
@pytest.mark.parametrize(("network", "counts"), PRINTED.items(), ids=str)
def test_as_reported_networks_have_the_printed_parameters_to_the_digit(
    network: tuple[int, int, Activation], counts: tuple[int, int, int], learning: Learning
) -> None:
    depth, num_classes, activation = network
    with torch.device("meta"):
        built = ResidualAttentionNetwork(
            depth, num_classes=num_classes, activation=activation, learning=learning, as_reported=True
        )
    assert keras_counts(built) == counts


@pytest.mark.parametrize(("network", "total"), IDENTITY_TOTALS.items(), ids=str)
def test_totals_with_identity_shortcuts_are_those_of_the_code_as_it_was_meant(
    network: tuple[int, int, Activation], total: int
) -> None:
    depth, num_classes, activation = network
    with torch.device("meta"):
        built = ResidualAttentionNetwork(depth, num_classes=num_classes, activation=activation, as_reported=True)
    for unit in built.modules():
        if isinstance(unit, ResidualUnit):
            projection = unit.shortcut
            assert isinstance(projection, nn.Conv2d)
            if projection.in_channels == projection.out_channels and projection.stride == (1, 1):
                unit.shortcut = nn.Identity()
    assert keras_counts(built)[0] == total
    if depth == 56:
        with torch.device("meta"):
            meant = ResidualAttentionNetwork(depth, num_classes=num_classes, activation=activation)
        assert keras_counts(meant)[0] == total


def test_uniform_attention_92_with_projections_everywhere_has_the_known_total() -> None:
    with torch.device("meta"):
        network = ResidualAttentionNetwork(92, activation="spatial", shortcut="always")
    assert keras_counts(network)[0] == 4_878_698


def test_attention_56_has_the_layers_of_the_reported_summary() -> None:
    with torch.device("meta"):
        network = ResidualAttentionNetwork(56, as_reported=True)
    layers = Counter(type(module) for module in network.modules())
    convolutions = sum(count for kind, count in layers.items() if issubclass(kind, nn.Conv2d))
    assert (convolutions, layers[nn.BatchNorm2d], layers[nn.ReLU], layers[nn.Sigmoid]) == (135, 97, 97, 3)
    assert layers[ResidualUnit] == 32


@pytest.mark.parametrize("depth", [56, 92, 128, 164])
def test_depth_is_the_number_of_weighted_layers_along_the_trunk(depth: int) -> None:
    with torch.device("meta"):
        network = ResidualAttentionNetwork(depth)
    assert count_trunk_layers(network) == depth
    assert sum(isinstance(module, AttentionModule) for module in network.modules()) == 3 * (depth - 20) // 36


def _randomize(module: nn.Module) -> None:
    """Weights and statistics as if trained, in float64."""
    module.double().eval().requires_grad_(False)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2)


def _activated(norm: nn.Module, x: Tensor, eps: float) -> Tensor:
    assert isinstance(norm, nn.BatchNorm2d)
    state = {name: values[:, None, None] for name, values in norm.state_dict().items() if values.ndim == 1}
    mean, var, scale, offset = (state[name] for name in ("running_mean", "running_var", "weight", "bias"))
    return ((x - mean) / (var + eps).sqrt() * scale + offset).clamp(min=0)


def _mixed(convolution: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(convolution, nn.Conv2d)
    mixed = torch.einsum("oc,nchw->nohw", convolution.weight[:, :, 0, 0], x)
    return mixed if convolution.bias is None else mixed + convolution.bias[:, None, None]


def _unit(unit: nn.Module, x: Tensor, style: UnitStyle) -> Tensor:
    assert isinstance(unit, ResidualUnit)
    norms = [module for module in unit.modules() if isinstance(module, nn.BatchNorm2d)]
    reduce, look, expand = (module for module in unit.branch if isinstance(module, nn.Conv2d))
    activated = _activated(norms[0], x, style.eps)
    branch = _activated(norms[1], _mixed(reduce, activated), style.eps)
    branch = _activated(norms[2], F.conv2d(branch, look.weight, look.bias, padding=1), style.eps)
    branch = _mixed(expand, branch)
    if branch.shape == x.shape and style.shortcut == "identity":
        return x + branch
    return _mixed(unit.shortcut, activated if style.activated else x) + branch


def _pooled(x: Tensor, padding: str) -> Tensor:
    """The maximum of every 3×3 window, window by window."""
    batch, channels, height, width = x.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    shifts = [0 if padding == "tensorflow" and size % 2 == 0 else 1 for size in (height, width)]
    pooled = torch.empty(batch, channels, rows, columns, dtype=x.dtype)
    for row in range(rows):
        for column in range(columns):
            top, left = 2 * row - shifts[0], 2 * column - shifts[1]
            window = x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3]
            pooled[:, :, row, column] = window.amax((2, 3))
    return pooled


def _upsampled(x: Tensor, like: Tensor, style: UnitStyle) -> Tensor:
    """Every pixel four times, cropped; or bilinear between corners that coincide, pixel by pixel."""
    height, width = like.shape[2:]
    if style.upsampling == "nearest":
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :height, :width]
    out = torch.empty(*x.shape[:2], height, width, dtype=x.dtype)
    for row in range(height):
        for column in range(width):
            y, z = row * (x.shape[2] - 1) / (height - 1), column * (x.shape[3] - 1) / (width - 1)
            top, left = min(int(y), x.shape[2] - 2), min(int(z), x.shape[3] - 2)
            upper, lower = (
                x[:, :, i, left] * (left + 1 - z) + x[:, :, i, left + 1] * (z - left) for i in (top, top + 1)
            )
            out[:, :, row, column] = upper * (top + 1 - y) + lower * (y - top)
    return out


def _bottom_up_top_down(mask: SoftMask, x: Tensor, poolings: int, style: UnitStyle) -> Tensor:
    """The list of steps, for 3, 2 and 1 poolings, written out one by one."""
    down1, skip1, out1 = (f"hourglass.{name}" for name in ("down.1", "skip", "out.0"))
    down2, skip2, out2 = (f"hourglass.deeper.{name}" for name in ("down.1", "skip", "out.0"))
    down3, out3 = (f"hourglass.deeper.deeper.{name}" for name in ("down.1", "out.0"))

    def unit(name: str, features: Tensor) -> Tensor:
        return _unit(mask.get_submodule(name), features, style)

    d1 = unit(down1, _pooled(x, style.pool_padding))
    if poolings == 1:
        return _upsampled(unit(out1, d1) if len(mask.hourglass.out) else d1, x, style)
    s1 = unit(skip1, d1)
    d2 = unit(down2, _pooled(d1, style.pool_padding))
    if poolings == 2:
        low = unit(out2, d2)
    else:
        s2 = unit(skip2, d2)
        d3 = unit(out3, unit(down3, _pooled(d2, style.pool_padding)))
        low = unit(out2, _upsampled(d3, d2, style) + s2)
    return _upsampled(unit(out1, _upsampled(low, d1, style) + s1), x, style)


def _mask_activation(mask: SoftMask, x: Tensor, activation: Activation) -> Tensor:
    """Pixel by pixel."""
    out = torch.empty_like(x)
    for image in range(x.shape[0]):
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                pixel = x[image, :, row, column]
                if activation == "channel":
                    out[image, :, row, column] = pixel / pixel.square().sum().sqrt()
                    continue
                if activation.startswith("spatial"):
                    over = pixel if activation == "spatial" else x[image].flatten(1).T  # channels, or each one's pixels
                    deviations = over - over.mean(0)
                    mean, variance = over.mean(0), deviations.square().mean(0)
                    pixel = (pixel - mean) / (variance + 1e-3).sqrt()
                    pixel = pixel * mask.get_parameter("activation.0.weight") + mask.get_parameter("activation.0.bias")
                out[image, :, row, column] = 1 / (1 + (-pixel).exp())
    return out


def _reference(
    module: AttentionModule, x: Tensor, poolings: int, style: UnitStyle, learning: Learning, activation: Activation
) -> dict[str, Tensor]:
    x = _unit(module.first, x, style)
    trunk = _unit(module.trunk[1], _unit(module.trunk[0], x, style), style)
    features = _bottom_up_top_down(module.soft_mask, x, poolings, style)
    for layer in module.soft_mask.mix:
        if isinstance(layer, nn.BatchNorm2d):
            features = _activated(layer, features, style.eps)
        elif isinstance(layer, nn.Conv2d):
            features = _mixed(layer, features)
    mask = _mask_activation(module.soft_mask, features, activation)
    result = mask * trunk if learning == "nal" else (1 + mask) * trunk
    return {"before": trunk, "mask": mask, "result": result, "output": _unit(module.last, result, style)}


def _assert_equals_the_reference(
    *,
    size: tuple[int, int],
    poolings: int = 2,
    lowest_units: int = 2,
    style: UnitStyle = REPORT_STYLE,
    learning: Learning = "arl",
    activation: Activation = "mixed",
) -> None:
    torch.manual_seed(0)
    module = AttentionModule(
        5, 8, poolings=poolings, lowest_units=lowest_units, learning=learning, activation=activation, style=style
    )
    _randomize(module)
    x = torch.randn(2, 5, *size).double()
    with collected_taps(module) as taps:
        output = module(x)
    seen = {"output": output, **{name: tensors[0] for name, tensors in taps.items()}}
    expected = _reference(module, x, poolings, style, learning, activation)
    torch.testing.assert_close(seen, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("learning", ["arl", "nal"])
@pytest.mark.parametrize("activation", ["mixed", "spatial", "spatial_map", "channel"])
def test_attention_module_equals_its_slow_reference(learning: Learning, activation: Activation) -> None:
    _assert_equals_the_reference(size=(6, 9), learning=learning, activation=activation)


@pytest.mark.parametrize("size", [(16, 24), (11, 9)], ids=str)
@pytest.mark.parametrize(("poolings", "lowest_units"), [(1, 1), (1, 2), (2, 2), (3, 2)])
@pytest.mark.parametrize(
    "style", [REPORT_STYLE, TENSORFLOW_STYLE, IMAGENET_STYLE], ids=["report", "tensorflow", "imagenet"]
)
def test_attention_module_equals_its_slow_reference_in_every_stage_and_style(
    size: tuple[int, int], poolings: int, lowest_units: int, style: UnitStyle
) -> None:
    _assert_equals_the_reference(size=size, poolings=poolings, lowest_units=lowest_units, style=style)


def _tensorflow_margins(size: int) -> tuple[int, int]:
    """TensorFlow's documented rule for "same" padding of a window of 3 with stride 2."""
    total = max((-(-size // 2) - 1) * 2 + 3 - size, 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("size", [(6, 8), (6, 7), (5, 8), (7, 5), (1, 2)], ids=str)
def test_tensorflow_padding_is_zeros_around_the_convolution_and_minus_infinity_around_the_pooling(
    size: tuple[int, int],
) -> None:
    torch.manual_seed(0)
    style = UnitStyle(padding="tensorflow", pool_padding="tensorflow")
    convolution, x = style.look_around(5, stride=2), torch.randn(2, 5, *size)
    margins = (*_tensorflow_margins(size[1]), *_tensorflow_margins(size[0]))
    expected = F.conv2d(F.pad(x, margins), convolution.weight, convolution.bias, stride=2)
    torch.testing.assert_close(convolution(x), expected)
    assert torch.equal(style.pool()(x), F.max_pool2d(F.pad(x, margins, value=-torch.inf), 3, 2))


def test_even_sizes_are_padded_by_tensorflow_at_their_end_alone() -> None:
    assert _tensorflow_margins(8) == (0, 1)
    x = torch.zeros(1, 1, 4, 6)
    x[0, 0, 2, 2] = 1
    pooled = UnitStyle(pool_padding="tensorflow").pool()(x)
    assert pooled[0, 0].tolist() == [[1, 1, 0], [1, 1, 0]]
    assert UnitStyle().pool()(x)[0, 0].tolist() == [[0, 0, 0], [0, 1, 0]]


def test_padding_changes_the_logits_and_not_the_weights() -> None:
    torch.manual_seed(0)
    symmetric, tensorflow = ResidualAttentionNetwork(56), ResidualAttentionNetwork(56, padding="tensorflow")
    tensorflow.load_state_dict(symmetric.state_dict())
    images = torch.randn(2, 3, 32, 32)
    difference = symmetric.eval()(images) - tensorflow.eval()(images)
    assert difference.abs().max() > 1e-3


def test_as_reported_projects_everywhere_and_pads_as_tensorflow_does() -> None:
    torch.manual_seed(0)
    reported = ResidualAttentionNetwork(56, as_reported=True).eval()
    explicit = ResidualAttentionNetwork(56, shortcut="always", padding="tensorflow").eval()
    explicit.load_state_dict(reported.state_dict())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(explicit(images), reported(images))


@pytest.mark.parametrize("style", [TENSORFLOW_STYLE, IMAGENET_STYLE], ids=["report", "imagenet"])
def test_gradients_are_those_of_finite_differences(style: UnitStyle) -> None:
    torch.manual_seed(0)
    module = AttentionModule(3, 4, poolings=2, activation="mixed", style=style)
    _randomize(module)
    x = torch.randn(1, 3, 4, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))


@pytest.mark.parametrize("activation", ["spatial", "spatial_map", "channel"])
def test_gradients_of_normalized_masks_are_those_of_finite_differences(activation: Activation) -> None:
    torch.manual_seed(0)
    mask = SoftMask(4, poolings=1, activation=activation, style=REPORT_STYLE)
    _randomize(mask)
    assert torch.autograd.gradcheck(mask, (torch.randn(2, 4, 3, 5).double().requires_grad_(),))


@pytest.mark.parametrize("activation", ["mixed", "spatial", "spatial_map", "channel"])
def test_masks_lie_between_zero_and_one_or_have_unit_norm_over_channels(activation: Activation) -> None:
    torch.manual_seed(0)
    network = ResidualAttentionNetwork(56, activation=activation).eval()
    with torch.no_grad(), collected_taps(network, {"mask"}) as taps:
        network(torch.randn(2, 3, 24, 40))
    masks = [tensors[0] for tensors in taps.values()]
    assert len(masks) == 3
    for mask in masks:
        if activation == "channel":
            torch.testing.assert_close(mask.norm(dim=1), torch.ones_like(mask[:, 0]))
        else:
            check_between_zero_and_one(mask)


@pytest.mark.parametrize(("size", "sides"), [((32, 32), (16, 8, 4)), ((64, 64), (32, 16, 8))], ids=str)
def test_trunk_mask_and_result_of_every_module_are_tapped(size: tuple[int, int], sides: tuple[int, ...]) -> None:
    network = ResidualAttentionNetwork(92).eval()
    with torch.no_grad(), collected_taps(network) as taps:
        network(torch.randn(2, 3, *size))
    expected = {
        f"stages.{stage}.{module}.{kind}": (2, 64 * 2**stage, side, side)
        for stage, side in enumerate(sides)
        for module in range(1, stage + 2)
        for kind in ("before", "mask", "result")
    }
    assert {name: tuple(tensors[0].shape) for name, tensors in taps.items()} == expected


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (7, 1)], ids=str)
def test_any_image_size_works(size: tuple[int, int], padding: str) -> None:
    torch.manual_seed(0)
    network = ResidualAttentionNetwork(56, num_classes=7, padding=padding).eval()  # type: ignore[arg-type]
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        assert network.forward_features(images).shape == (2, 512)
        assert network(images).isfinite().all()


def test_network_is_its_stem_stages_tail_and_head() -> None:
    torch.manual_seed(0)
    network = ResidualAttentionNetwork(56, num_classes=7).eval()
    images = torch.randn(2, 3, 32, 32)
    x = network.stem(images)
    assert x.shape == (2, 64, 16, 16)
    for stage in network.stages:
        x = stage(x)
    maps = network.tail(x)
    assert maps.shape == (2, 512, 4, 4)
    features = F.avg_pool2d(maps, 4).flatten(1)
    torch.testing.assert_close(network.forward_features(images), features)
    torch.testing.assert_close(network(images), features @ network.head.weight.T + network.head.bias)


def test_stem_is_a_5x5_convolution_and_a_pooling_of_2x2() -> None:
    torch.manual_seed(0)
    network, images = ResidualAttentionNetwork(56), torch.randn(2, 3, 6, 8)
    convolved = F.conv2d(images, network.get_parameter("stem.0.weight"), padding=2)
    quarters = [convolved[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    torch.testing.assert_close(network.stem(images), torch.stack(quarters).amax(0))


def test_normalizations_have_the_numbers_of_keras() -> None:
    network = ResidualAttentionNetwork(56, activation="spatial")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)]
    assert len(norms) == 97 + 3
    assert {norm.eps for norm in norms} == {1e-3}
    assert {norm.momentum for norm in norms if isinstance(norm, nn.BatchNorm2d)} == {0.01}


def test_output_of_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    network = ResidualAttentionNetwork(56, activation="spatial").eval()
    images = torch.randn(5, 3, 32, 32)
    torch.testing.assert_close(network(images)[3:4], network(images[3:4]), rtol=1e-4, atol=1e-5)


def test_unknown_depths_are_refused_with_the_reason() -> None:
    message = "^`depth` of a residual attention network must be one of 56, 92, 128, 164, got 57$"
    with pytest.raises(ValueError, match=message):
        ResidualAttentionNetwork(57)
    with pytest.raises(ValueError, match=r"^`as_reported` needs a `depth` that the report ran, 56 or 92, got 128$"):
        ResidualAttentionNetwork(128, as_reported=True)


@pytest.mark.parametrize(("network", "total"), IDENTITY_TOTALS.items(), ids=str)
def test_what_the_report_ran_can_be_built_with_the_shortcuts_that_it_meant(
    network: tuple[int, int, Activation], total: int
) -> None:
    depth, num_classes, activation = network
    with torch.device("meta"):
        built = ResidualAttentionNetwork(
            depth, num_classes=num_classes, activation=activation, as_reported=True, shortcut="identity"
        )
    assert keras_counts(built)[0] == total
