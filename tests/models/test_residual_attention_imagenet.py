import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradscape._taps import collected_taps
from gradscape.models.counting import count_macs, count_parameters
from gradscape.models.residual_attention import AttentionModule
from gradscape.models.residual_attention_imagenet import ResidualAttentionImageNet
from gradscape.models.residual_units import AggregatedUnit, InceptionUnit, ResidualUnit, UnitKind
from tests.models.residual_attention_anatomy import (
    check_between_zero_and_one,
    count_moving_statistics,
    count_trunk_layers,
)


@pytest.fixture(scope="module")
def network() -> ResidualAttentionImageNet:
    torch.manual_seed(0)
    return ResidualAttentionImageNet(56, num_classes=7).eval().requires_grad_(False)


@pytest.mark.parametrize(
    ("depth", "parameters", "statistics", "giga_macs"),
    [(56, 31_810_728, 72_704, 6.271), (92, 52_466_344, 133_632, 10.534)],
)
def test_sizes_are_those_of_the_published_descriptions(
    depth: int, parameters: int, statistics: int, giga_macs: float
) -> None:
    with torch.device("meta"):
        network = ResidualAttentionImageNet(depth)
    assert count_parameters(network) == parameters
    assert count_moving_statistics(network) == statistics
    assert round(count_macs(network, 224) / 1e9, 3) == giga_macs


def test_attention_56_has_the_parameters_printed_in_the_paper() -> None:
    with torch.device("meta"):
        state = ResidualAttentionImageNet(56).state_dict()
    size = sum(tensor.numel() for name, tensor in state.items() if "num_batches_tracked" not in name)
    assert size == 31_883_432
    assert f"{size / 1e6:.1f}" == "31.9"


@pytest.mark.parametrize("depth", [56, 92])
def test_depth_is_the_number_of_weighted_layers_along_the_trunk(depth: int) -> None:
    with torch.device("meta"):
        network = ResidualAttentionImageNet(depth)
    assert count_trunk_layers(network) == depth
    modules = [sum(isinstance(module, AttentionModule) for module in stage.modules()) for stage in network.stages]
    assert modules == ([1, 1, 1] if depth == 56 else [1, 2, 3])


def test_taps_have_the_sizes_of_the_paper_at_224_pixels() -> None:
    with torch.device("meta"):
        network = ResidualAttentionImageNet(56).eval()
        images = torch.randn(1, 3, 224, 224)
    with collected_taps(network) as taps:
        network(images)
    expected = {
        f"stages.{stage}.1.{kind}": (1, 256 * 2**stage, side, side)
        for stage, side in enumerate((56, 28, 14))
        for kind in ("before", "mask", "result")
    }
    assert {name: tuple(tensors[0].shape) for name, tensors in taps.items()} == expected


def test_projections_see_the_normalized_and_rectified_input(network: ResidualAttentionImageNet) -> None:
    torch.manual_seed(0)
    unit = network.stages[1].get_submodule("0")
    assert isinstance(unit, ResidualUnit)
    assert isinstance(unit.shortcut, nn.Conv2d)
    x = torch.randn(2, 256, 4, 6)
    activated = F.relu(x / (1 + 1e-5) ** 0.5)  # an untrained batch normalization
    projected = torch.einsum("oc,nchw->nohw", unit.shortcut.weight[:, :, 0, 0], activated)[:, :, ::2, ::2]
    torch.testing.assert_close(unit(x) - unit.branch(activated), projected, rtol=1e-4, atol=1e-4)


def test_stem_reduces_by_four_with_padding_at_the_end_of_even_sizes(network: ResidualAttentionImageNet) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 40)
    x = F.conv2d(images, network.get_parameter("stem.0.weight"), stride=2, padding=3)
    x = F.relu(x / (1 + 1e-5) ** 0.5)
    expected = F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2)
    assert expected.shape == (2, 64, 8, 10)
    torch.testing.assert_close(network.stem(images), expected, rtol=1e-4, atol=1e-5)


def test_only_the_classifier_has_a_bias_beside_the_normalizations(network: ResidualAttentionImageNet) -> None:
    biased = [
        name
        for name, module in network.named_modules()
        if not isinstance(module, nn.BatchNorm2d) and getattr(module, "bias", None) is not None
    ]
    assert biased == ["head"]


def test_network_is_its_stem_stages_tail_and_head(network: ResidualAttentionImageNet) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 3, 64, 96)
    x = network.stem(images)
    for stage in network.stages:
        x = stage(x)
    maps = network.tail(x)
    assert maps.shape == (2, 2048, 2, 3)
    torch.testing.assert_close(network.forward_features(images), maps.mean((2, 3)))
    torch.testing.assert_close(network(images), network.head(maps.mean((2, 3))))


def test_masks_lie_between_zero_and_one_at_odd_sizes_too(network: ResidualAttentionImageNet) -> None:
    torch.manual_seed(0)
    # Without trained statistics only those of the batch keep the sigmoids from saturating.
    training = copy.deepcopy(network).train()
    with collected_taps(training, {"mask"}) as taps:
        assert training(torch.randn(4, 3, 45, 61)).isfinite().all()
    assert len(taps) == 3
    for tensors in taps.values():
        check_between_zero_and_one(tensors[0])


def test_output_of_an_image_does_not_depend_on_its_batch(network: ResidualAttentionImageNet) -> None:
    torch.manual_seed(0)
    images = torch.randn(3, 3, 32, 48)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]), rtol=1e-4, atol=1e-4)


def test_unknown_depths_are_refused_with_the_reason() -> None:
    message = "^`depth` of a residual attention network for ImageNet must be one of 56, 92, got 128$"
    with pytest.raises(ValueError, match=message):
        ResidualAttentionImageNet(128)


@pytest.mark.parametrize(
    ("unit", "parameters", "giga_macs"), [("aggregated", 31_318_824, 6.419), ("inception", 34_034_344, 6.930)]
)
def test_sizes_with_other_units_are_those_of_the_published_description_and_of_ours(
    unit: UnitKind, parameters: int, giga_macs: float
) -> None:
    with torch.device("meta"):
        network = ResidualAttentionImageNet(56, unit=unit)
    assert count_parameters(network) == parameters
    assert round(count_macs(network, 224) / 1e9, 3) == giga_macs
    kind = AggregatedUnit if unit == "aggregated" else InceptionUnit
    assert sum(isinstance(module, kind) for module in network.modules()) == 3 + 3 * 4 + 8 + 5 + 2 + 3
    assert not any(isinstance(module, ResidualUnit) for module in network.modules())


def test_attention_next_has_56_layers_and_its_masks_normalize_between_their_two_convolutions() -> None:
    with torch.device("meta"):
        network = ResidualAttentionImageNet(56, unit="aggregated")
    assert count_trunk_layers(network) == 56
    for stage in network.stages:
        mix = stage.get_submodule("1.soft_mask.mix")
        assert [type(layer) for layer in mix.children()] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Conv2d]


@pytest.mark.parametrize("unit", ["aggregated", "inception"])
def test_other_units_run_at_odd_sizes_too(unit: UnitKind) -> None:
    torch.manual_seed(0)
    network = ResidualAttentionImageNet(56, num_classes=7, unit=unit).train()
    with torch.no_grad(), collected_taps(network, {"mask"}) as taps:
        logits = network(torch.randn(2, 3, 37, 64))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    assert [tuple(tensors[0].shape[1:]) for tensors in taps.values()] == [(256, 10, 16), (512, 5, 8), (1024, 3, 4)]
    for tensors in taps.values():
        check_between_zero_and_one(tensors[0])


def test_p_t_and_r_are_numbers_of_units_here_too() -> None:
    with torch.device("meta"):
        network = ResidualAttentionImageNet(56, p=2, t=3, r=2)
    assert sum(isinstance(module, ResidualUnit) for module in network.modules()) == 3 + 3 * 6 + 14 + 9 + 4 + 3
    assert count_trunk_layers(network) == 56 + 9 * 2
