from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from gradscape._taps import collected_taps
from gradscape.models.counting import count_parameters
from gradscape.models.create import create_model
from gradscape.models.spanet import SpatialPyramidAttention, SpatialPyramidGate
from tests.models.plain_layers import batch_normalized

RESNET50 = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
MOBILENET_V2 = [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]


@pytest.mark.parametrize(
    ("scales", "parameters"),
    [((7, 4, 1), 28_073_912), ((1, 2), 28_073_896), ((1, 2, 4), 28_073_912), ((1, 2, 4, 7), 28_073_928)],
)
def test_parameters_in_resnet50_equal_the_published_networks(scales: tuple[int, ...], parameters: int) -> None:
    with torch.device("meta"):
        added = sum(count_parameters(SpatialPyramidAttention(channels, scales=scales)) for channels in RESNET50)
    assert 25_557_032 + added == parameters


@pytest.mark.parametrize(("reduction", "parameters"), [(8, 3_562_227), (16, 3_533_525)])
def test_parameters_in_mobilenet_v2_equal_the_published_network(reduction: int, parameters: int) -> None:
    with torch.device("meta"):
        blocks = [SpatialPyramidAttention(channels, reduction=reduction) for channels in MOBILENET_V2]
    assert 3_504_872 + sum(map(count_parameters, blocks)) == parameters


@pytest.mark.parametrize(
    ("blocks", "expansion", "base", "parameters"),
    [
        ((2, 2, 2, 2), 1, 11_217_316, (11_304_620, 11_293_868, 11_338_780)),
        ((3, 4, 6, 3), 4, 23_693_476, (26_210_356, 26_035_252, 26_739_732)),
        ((3, 4, 23, 3), 4, 42_685_604, (47_432_935, 47_257_831, 47_962_311)),
    ],
)
def test_parameters_of_the_three_topologies_in_cifar_resnets_equal_the_published_networks(
    blocks: tuple[int, ...], expansion: int, base: int, parameters: tuple[int, ...]
) -> None:
    widths = [64, *(64 * 2**stage * expansion for stage in range(4) for _ in range(blocks[stage]))]
    scales = (4, 2, 1)
    with torch.device("meta"):
        a = sum(count_parameters(SpatialPyramidAttention(channels, scales=scales)) for channels in widths[1:])
        b, c = (
            sum(count_parameters(SpatialPyramidGate(*pair, scales=scales, match=match)) for pair in pairwise(widths))
            for match in (False, True)
        )
    assert (base + a, base + b, base + c) == parameters


def test_state_has_the_published_keys_and_shapes() -> None:
    state = SpatialPyramidAttention(32).state_dict()
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert set(state) == {
        "weight",
        "transform.0.weight",
        *(f"transform.1.{key}" for key in statistics),
        "transform.3.weight",
    }
    assert torch.equal(state["weight"], torch.ones(1, 3, 1, 1, 1))
    assert state["transform.0.weight"].shape == (2, 32, 1, 1)
    assert state["transform.3.weight"].shape == (32, 2, 1, 1)


def _pooled(image: Tensor, side: int) -> Tensor:
    """Adaptive average pooling, cell by cell: from the floor of a cell's beginning to the ceiling of its end."""
    channels, height, width = image.shape
    cells = torch.zeros(channels, side, side, dtype=image.dtype)
    for row in range(side):
        for column in range(side):
            rows = slice(row * height // side, -(-(row + 1) * height // side))
            columns = slice(column * width // side, -(-(column + 1) * width // side))
            cells[:, row, column] = image[:, rows, columns].mean((1, 2))
    return cells


def _nearest(image: Tensor, height: int, width: int) -> Tensor:
    channels, rows, columns = image.shape
    larger = torch.zeros(channels, height, width, dtype=image.dtype)
    for row in range(height):
        for column in range(width):
            larger[:, row, column] = image[:, row * rows // height, column * columns // width]
    return larger


def _convolved(maps: Tensor, convolution: nn.Module) -> Tensor:
    weight = convolution.get_parameter("weight")
    result = torch.zeros(len(maps), len(weight), *maps.shape[2:], dtype=maps.dtype)
    for out in range(weight.shape[0]):
        for channel in range(weight.shape[1]):
            result[:, out] += weight[out, channel, 0, 0] * maps[:, channel]
    return result


def _mask(
    module: SpatialPyramidAttention | SpatialPyramidGate, read: Tensor, scales: tuple[int, ...], *, training: bool
) -> Tensor:
    pyramid = torch.zeros(len(read), read.shape[1], scales[0], scales[0], dtype=read.dtype)
    for index, side in enumerate(scales):
        for number, image in enumerate(read):
            pyramid[number] += module.weight[0, index, 0, 0, 0] * _nearest(_pooled(image, side), scales[0], scales[0])
    hidden = batch_normalized(_convolved(pyramid, module.transform[0]), module.transform[1], training=training)
    return 1 / (1 + torch.exp(-_convolved(hidden.clamp(min=0), module.transform[3])))


def _randomize(module: nn.Module) -> None:
    module.double().requires_grad_(False)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if tensor.ndim in (1, 5) else tensor.normal_()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(5, 9), (2, 3)])
def test_attention_follows_its_equations_cell_by_cell(size: tuple[int, int], *, training: bool) -> None:
    torch.manual_seed(0)
    module = SpatialPyramidAttention(10, scales=(1, 4, 2), reduction=3).train(training)
    _randomize(module)
    x = torch.randn(3, 10, *size).double()
    mask = _mask(module, x, (4, 2, 1), training=training)
    expected = x * torch.stack([_nearest(image, *size) for image in mask])
    torch.testing.assert_close(module(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("match", [False, True])
def test_gate_of_a_branch_is_the_pyramid_of_the_blocks_input(*, match: bool, training: bool) -> None:
    torch.manual_seed(0)
    module = SpatialPyramidGate(4, 10, scales=(3, 1), reduction=5, match=match).train(training)
    _randomize(module)
    branch, block_input = torch.randn(3, 10, 4, 5).double(), torch.randn(3, 4, 7, 10).double()
    read = block_input
    if match:
        matcher = module.matcher
        assert isinstance(matcher, nn.Sequential)
        read = batch_normalized(_convolved(read, matcher[0]), matcher[1], training=training).clamp(min=0)
        read = batch_normalized(_convolved(read, matcher[3]), matcher[4], training=training)
    mask = _mask(module, read, (3, 1), training=training)
    expected = branch * torch.stack([_nearest(image, 4, 5) for image in mask])
    torch.testing.assert_close(module(branch, block_input), expected, rtol=1e-9, atol=1e-9)


def test_equal_channels_need_no_matcher() -> None:
    matched, plain = (SpatialPyramidGate(12, 12, match=match).state_dict() for match in (True, False))
    assert matched.keys() == plain.keys() == SpatialPyramidAttention(12).state_dict().keys()


def test_taps_show_the_pyramid_its_weights_and_the_mask_coarse_and_full() -> None:
    module = SpatialPyramidAttention(6).eval()
    x = torch.randn(2, 6, 9, 12)
    with collected_taps(module) as collected:
        output = module(x)
    shown = {name: tensor for name, (tensor,) in collected.items()}
    assert {name: tuple(tensor.shape) for name, tensor in shown.items()} == {
        "before": (2, 6, 9, 12),
        "pooled.0": (2, 6, 7, 7),
        "pooled.1": (2, 6, 4, 4),
        "pooled.2": (2, 6, 1, 1),
        "scale_weights": (3,),
        "coarse_mask": (2, 6, 7, 7),
        "mask": (2, 6, 9, 12),
        "result": (2, 6, 9, 12),
    }
    assert torch.equal(shown["pooled.2"], x.mean((2, 3), keepdim=True))
    assert torch.equal(shown["result"], shown["before"] * shown["mask"])
    assert torch.equal(shown["result"], output)
    assert shown["mask"].unique().equal(shown["coarse_mask"].unique())


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    module = SpatialPyramidGate(3, 4, scales=(2, 1), reduction=2, match=True).double()
    branch, block_input = torch.randn(3, 4, 3, 2).double(), torch.randn(3, 3, 3, 5).double()
    assert torch.autograd.gradcheck(module, (branch.requires_grad_(), block_input.requires_grad_()))


def test_channels_last_memory_changes_neither_values_nor_the_weights_shape() -> None:
    torch.manual_seed(0)
    module, x = SpatialPyramidAttention(8).eval(), torch.randn(2, 8, 9, 7)
    expected = module(x)
    module.to(memory_format=torch.channels_last)
    output = module(x.contiguous(memory_format=torch.channels_last))
    assert output.is_contiguous(memory_format=torch.channels_last)
    assert module.weight.shape == (1, 3, 1, 1, 1)
    torch.testing.assert_close(output, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scales": ()}, r"`scales` must be one or more positive numbers of cells a side, got \(\)"),
        ({"scales": (4, 0)}, r"`scales` must be one or more positive numbers of cells a side, got \(4, 0\)"),
        ({"reduction": 0}, "`reduction` must be positive, got 0"),
    ],
)
def test_impossible_shapes_are_refused_with_the_reason(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        SpatialPyramidAttention(8, **arguments)  # type: ignore[arg-type]


def test_matcher_of_the_text_is_as_wide_as_the_larger_number_of_channels_allows() -> None:
    widths = []
    for wider in (False, True):
        matcher = SpatialPyramidGate(40, 20, reduction=4, match=True, wider=wider).matcher
        widths.append([tuple(matcher.get_parameter(f"{index}.weight").shape[:2]) for index in (0, 3)])
    assert widths == [[(5, 40), (20, 5)], [(10, 40), (20, 10)]]


def test_the_texts_matcher_in_mobilenet_v2_has_two_hidden_channels_for_one_where_32_channels_become_16() -> None:
    with torch.device("meta"):
        counts = [
            count_parameters(create_model(f"cifar_mobilenet_v2+spa_c{option}", num_classes=100))
            for option in ("", "@wider=true")
        ]
    assert counts == [2_456_081, 2_456_081 + 32 + 2 + 16]


@pytest.mark.parametrize("name", ["resnet20+spa_c@wider=true", "cifar_mobilenet_v2+spa_c@wider=true,stages=2:3"])
def test_a_wider_matcher_is_refused_where_no_block_has_fewer_filters_than_input_channels(name: str) -> None:
    message = "^`wider` of spa_c is for blocks with fewer filters than input channels; here are none such$"
    with pytest.raises(ValueError, match=message):
        create_model(name)
