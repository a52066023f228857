import pytest
import torch
from torch import Tensor, nn

from gradscape._taps import collected_taps
from gradscape.models.counting import count_parameters
from gradscape.models.create import create_model
from gradscape.models.ulsam import ULSAM
from tests.models.plain_layers import batch_normalized


@pytest.mark.parametrize(("channels", "groups", "parameters"), [(512, 4, 2_572), (1024, 4, 5_132), (160, 4, 812)])
def test_parameters_equal_the_published_modules(channels: int, groups: int, parameters: int) -> None:
    with torch.device("meta"):
        module = ULSAM(channels, groups=groups)
    assert count_parameters(module) == parameters == 5 * channels + 3 * groups


def test_state_has_the_published_keys_and_shapes() -> None:
    state = ULSAM(12, groups=3).state_dict()
    statistics = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    assert set(state) == {
        f"subspaces.{subspace}.{key}"
        for subspace in range(3)
        for key in (
            *(f"{convolution}.{name}" for convolution in ("conv_dws", "conv_point") for name in ("weight", "bias")),
            *(f"{norm}.{name}" for norm in ("bn_dws", "bn_point") for name in statistics),
        )
    }
    assert state["subspaces.2.conv_dws.weight"].shape == (4, 1, 1, 1)
    assert state["subspaces.2.conv_point.weight"].shape == (1, 4, 1, 1)


def _attention(subspace: nn.Module, maps: Tensor, *, training: bool) -> Tensor:
    scale, offset = (subspace.get_parameter(f"conv_dws.{key}") for key in ("weight", "bias"))
    salient = torch.stack([scale[i, 0, 0, 0] * maps[:, i] + offset[i] for i in range(maps.shape[1])], 1)
    salient = batch_normalized(salient, subspace.get_submodule("bn_dws"), training=training).clamp(min=0)
    height, width = maps.shape[2:]
    pooled = torch.zeros_like(salient)
    for row in range(height):
        for column in range(width):
            neighbors = salient[:, :, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            pooled[:, :, row, column] = neighbors.amax((2, 3))
    weight, bias = (subspace.get_parameter(f"conv_point.{key}") for key in ("weight", "bias"))
    score = bias + sum(weight[0, i, 0, 0] * pooled[:, i : i + 1] for i in range(maps.shape[1]))
    score = batch_normalized(score, subspace.get_submodule("bn_point"), training=training).clamp(min=0).exp()
    return score / score.sum((1, 2, 3), keepdim=True)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_attention_follows_its_equations_subspace_by_subspace(groups: int, *, training: bool) -> None:
    torch.manual_seed(0)
    module = ULSAM(6, groups=groups).double().train(training).requires_grad_(False)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_()
    x = torch.randn(3, 6, 4, 7).double()
    size = 6 // groups
    expected = torch.zeros_like(x)
    for group, subspace in enumerate(module.subspaces):
        part = x[:, group * size : (group + 1) * size]
        expected[:, group * size : (group + 1) * size] = _attention(subspace, part, training=training) * part + part
    torch.testing.assert_close(module(x), expected, rtol=1e-9, atol=1e-9)


def test_taps_show_a_map_for_each_subspace_that_sums_to_one() -> None:
    torch.manual_seed(0)
    module = ULSAM(8, groups=4)
    x = torch.randn(3, 8, 5, 9)
    with collected_taps(module) as collected:
        output = module(x)
    (before,), (maps,), (result,) = collected["before"], collected["subspace"], collected["result"]
    assert maps.shape == (3, 4, 5, 9)
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(3, 4))
    assert torch.equal(before, x)
    assert torch.equal(result, output)
    torch.testing.assert_close(output, x * (1 + maps.repeat_interleave(2, 1)))


def test_running_statistics_are_nine_tenths_the_last_batch() -> None:
    torch.manual_seed(0)
    module, x = ULSAM(4, groups=2), torch.randn(5, 4, 6, 3)
    module(x)
    for group, subspace in enumerate(module.subspaces):
        scale, offset = (subspace.get_parameter(f"conv_dws.{key}").flatten() for key in ("weight", "bias"))
        mean = x[:, 2 * group : 2 * group + 2].mean((0, 2, 3)) * scale + offset
        torch.testing.assert_close(subspace.get_buffer("bn_dws.running_mean"), 0.9 * mean)


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4, 3, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(ULSAM(4, groups=2).double(), (x,))


@pytest.mark.parametrize("groups", [0, 4])
def test_groups_that_do_not_divide_the_channels_are_refused(groups: int) -> None:
    with pytest.raises(ValueError, match=f"^`groups` of a ULSAM must divide its 10 channels, got {groups}$"):
        ULSAM(10, groups=groups)


@pytest.mark.parametrize(("channels", "groups"), [(512, 4), (96, 16)])
def test_equation_2_as_printed_has_the_2m_parameters_of_table_1(channels: int, groups: int) -> None:
    module = ULSAM(channels, groups=groups, layout="equations")
    assert count_parameters(module) == 2 * channels
    assert all(parameter.ndim == 4 for parameter in module.parameters())  # convolutions without bias


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_equation_2_as_printed_has_nothing_between_its_convolutions_but_the_pooling(groups: int) -> None:
    torch.manual_seed(0)
    module, x = ULSAM(6, groups=groups, layout="equations").double(), torch.randn(3, 6, 4, 7).double()
    size, expected = 6 // groups, torch.zeros_like(x)
    for group, subspace in enumerate(module.subspaces):
        chosen = slice(group * size, (group + 1) * size)
        scale, weight = (subspace.get_parameter(f"{name}.weight").flatten() for name in ("conv_dws", "conv_point"))
        for row in range(4):
            for column in range(7):
                near = x[:, chosen, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                salient = (near * scale[:, None, None]).amax((2, 3))
                expected[:, chosen, row, column] = (salient @ weight).exp()[:, None]
        expected[:, chosen] /= expected[:, chosen].sum((2, 3), keepdim=True)
    torch.testing.assert_close(module(x), x * (1 + expected))


def test_a_network_takes_equation_2_as_it_is_printed() -> None:
    counts = [
        count_parameters(create_model(f"mobilenet_v1+ulsam@after=11{layout}")) for layout in ("", ",layout=equations")
    ]
    assert counts[0] - counts[1] == 3 * 512 + 3 * 4
