import pytest
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.backbones.wide_resnets import create_wide_resnet


@pytest.mark.parametrize(("width", "parameters"), [(8, 23_401_012), (10, 36_536_884)])
def test_parameters_equal_the_published_networks_to_the_digit(width: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(create_wide_resnet(28, width, num_classes=100)) == parameters


@pytest.mark.parametrize("depth", [10, 16, 28, 40])
def test_depth_counts_all_convolutions(depth: int) -> None:
    # The paper counts the three projections, and not the classifier.
    network = create_wide_resnet(depth, 2)
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == depth


@pytest.mark.parametrize(
    ("depth", "width", "message"),
    [
        (4, 2, "`depth` of a wide ResNet must be 10, 16, 22, 28, …, got 4"),
        (27, 2, "`depth` of a wide ResNet must be 10, 16, 22, 28, …, got 27"),
        (28, 0, "`width` of a wide ResNet must be positive, got 0"),
    ],
)
def test_impossible_sizes_are_refused_with_the_reason(depth: int, width: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        create_wide_resnet(depth, width)
