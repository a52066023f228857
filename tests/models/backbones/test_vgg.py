import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.backbones.vgg import CifarVGG16
from gradscape.models.sites import AttendedBlock


def test_parameters_equal_the_published_network_to_the_digit() -> None:
    with torch.device("meta"):
        assert count_parameters(CifarVGG16(num_classes=100)) == 14_774_436
        assert round(count_parameters(CifarVGG16()) / 1e6, 2) == 14.73


def test_each_of_the_thirteen_convolutions_can_be_attended() -> None:
    with torch.device("meta"):
        network = CifarVGG16()
    units = [module for module in network.modules() if isinstance(module, AttendedBlock)]
    assert len(units) == 13
    assert all(sum(isinstance(module, nn.Conv2d) for module in unit.modules()) == 1 for unit in units)


def test_features_are_the_averages_of_the_largest_of_four_pixels() -> None:
    torch.manual_seed(0)
    network = CifarVGG16().eval()
    maps: list[torch.Tensor] = []
    network.stages[-1].register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    with torch.no_grad():
        features = network.forward_features(torch.randn(2, 3, 32, 64))
    (last,) = maps
    expected = (last[:, :, :, :2].amax((2, 3)) + last[:, :, :, 2:].amax((2, 3))) / 2
    torch.testing.assert_close(features, expected)
