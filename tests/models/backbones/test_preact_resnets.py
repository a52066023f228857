from typing import Any

import pytest
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.backbones.preact_resnets import (
    PreactResNet,
    create_preact_resnet,
    create_preact_resnet110,
    create_preact_resnet200,
)


@pytest.mark.parametrize(
    ("depth", "num_classes", "parameters"),
    [(18, 100, 11_217_316), (50, 100, 23_693_476), (101, 100, 42_685_604), (18, 10, 11_171_146)],
)
def test_parameters_equal_the_published_networks_to_the_digit(depth: int, num_classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(create_preact_resnet(depth, num_classes=num_classes)) == parameters


def test_thin_network_has_the_published_parameters() -> None:
    with torch.device("meta"):
        assert count_parameters(create_preact_resnet110(num_classes=100)) == 1_736_372


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_depth_counts_the_convolutions_on_the_longest_way_and_the_classifier(depth: int) -> None:
    with torch.device("meta"):
        network = create_preact_resnet(depth)
    weighted = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len([name for name in weighted if "shortcut" not in name]) == depth


def test_only_the_thin_network_normalizes_and_activates_the_last_map() -> None:
    torch.manual_seed(0)
    plain, thin = create_preact_resnet(18).eval(), create_preact_resnet110().eval()
    maps: list[torch.Tensor] = []
    for network in (plain, thin):
        network.stages[-1].register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    images = torch.randn(2, 3, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(plain.forward_features(images), maps[0].mean((2, 3)))
        features = thin.forward_features(images)
        # The untrained normalization only divides by √(1 + ε).
        expected = (maps[-1] / (1 + 1e-5) ** 0.5).clamp(min=0).mean((2, 3))
    torch.testing.assert_close(features, expected)


def test_unknown_depth_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"^`depth` must be one of 18, 34, 50, 101, 152, got 20$"):
        create_preact_resnet(20)


def test_network_with_200_layers_has_the_printed_size() -> None:
    with torch.device("meta"):
        network = create_preact_resnet200()
    assert count_parameters(network) == 64_666_152  # 64.7 million are printed
    weighted = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len([name for name in weighted if "shortcut" not in name]) == 200


def test_stem_for_large_images_activates_in_the_stead_of_the_first_block() -> None:
    torch.manual_seed(0)
    network = PreactResNet((1, 1), bottleneck=True, stem_channels=4, widths=(2, 3), small_images=False).eval()
    images = torch.randn(2, 3, 32, 48)
    stem = network.stem(images)
    convolved = nn.functional.conv2d(images, network.get_parameter("stem.0.weight"), stride=2, padding=3)
    active = (convolved / (1 + 1e-5) ** 0.5).clamp(min=0)  # the untrained normalization
    torch.testing.assert_close(stem, nn.functional.max_pool2d(active, 3, 2, padding=1))
    assert stem.shape == (2, 4, 8, 12)
    first: Any = network.get_submodule("stages.0.0")
    assert [type(network.get_submodule(f"stages.{stage}.0.bn1")) for stage in (0, 1)] == [nn.Identity, nn.BatchNorm2d]
    branch = first.conv3(first.bn3(first.conv2(first.bn2(first.conv1(stem)).clamp(min=0))).clamp(min=0))
    torch.testing.assert_close(first(stem), branch + first.shortcut(stem))
