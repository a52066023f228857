import pytest
import torch

from gradscape.models import count_parameters
from gradscape.models.backbones.mobilenet_v1 import MobileNetV1
from gradscape.models.counting import count_macs
from gradscape.models.sites import AttendedBlock


@pytest.mark.parametrize(
    ("width", "parameters", "mega_macs"),
    [(1.0, 4_231_976, 568.74), (0.75, 2_585_560, 325.40), (0.5, 1_331_592, 149.50)],
)
def test_parameters_and_macs_equal_the_published_networks(width: float, parameters: int, mega_macs: float) -> None:
    with torch.device("meta"):
        network = MobileNetV1(width=width)
        assert count_parameters(network) == parameters
        assert round(count_macs(network, 224) / 1e6, 2) == mega_macs


def test_layers_are_counted_from_one_as_in_the_paper() -> None:
    with torch.device("meta"):
        network = MobileNetV1()
    layers = network.layers
    assert list(layers) == list(range(1, 15))
    assert layers[1] is network.stem
    filters = [layers[number].get_parameter("pointwise.weight").shape[0] for number in range(2, 15)]
    assert filters == [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    assert network.insertable_layers == tuple(range(2, 15))
    assert all(isinstance(layers[number], AttendedBlock) for number in network.insertable_layers)


def test_width_that_leaves_no_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`width` of a MobileNet must be at least 1/32, got 0\.03$"):
        MobileNetV1(width=0.03)
