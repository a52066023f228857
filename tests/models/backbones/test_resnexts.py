import pytest
import torch

from gradscape.models import count_parameters
from gradscape.models.backbones.resnexts import CifarResNeXt


def test_parameters_equal_the_published_network_to_the_digit() -> None:
    with torch.device("meta"):
        assert count_parameters(CifarResNeXt(8, 64, num_classes=100)) == 34_518_948


@pytest.mark.parametrize(
    ("groups", "group_width", "num_classes", "millions"),
    [(2, 64, 10, 9.13), (2, 64, 100, 9.22), (32, 4, 10, 4.77), (32, 4, 100, 4.87)],
)
def test_parameters_with_the_1x1_stem_equal_the_printed_millions(
    groups: int, group_width: int, num_classes: int, millions: float
) -> None:
    with torch.device("meta"):
        network = CifarResNeXt(groups, group_width, num_classes=num_classes, stem_size=1)
    assert round(count_parameters(network) / 1e6, 2) == millions


def test_width_of_a_group_doubles_from_stage_to_stage() -> None:
    network = CifarResNeXt(4, 2)
    shapes = [tuple(network.get_parameter(f"stages.{i}.1.conv2.weight").shape) for i in range(3)]
    assert shapes == [(8, 2, 3, 3), (16, 4, 3, 3), (32, 8, 3, 3)]


def test_stem_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`stem_size` of a ResNeXt must be 1 or 3, got 2$"):
        CifarResNeXt(2, 2, stem_size=2)
