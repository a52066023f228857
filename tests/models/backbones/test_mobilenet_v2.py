import pytest
import torch
from torchvision.models import mobilenet_v2

from gradscape.models import count_parameters
from gradscape.models.backbones.mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from gradscape.models.counting import count_macs
from gradscape.models.sites import AttendedBlock


def test_parameters_and_macs_equal_the_published_networks() -> None:
    with torch.device("meta"):
        network = MobileNetV2()
        assert count_parameters(network) == 3_504_872
        assert round(count_macs(network, 224) / 1e6, 2) == 300.77


def test_parameters_for_small_images_equal_the_published_network_to_the_digit() -> None:
    with torch.device("meta"):
        assert count_parameters(CifarMobileNetV2(num_classes=100)) == 2_412_212


def test_weights_of_torchvision_load_and_give_its_logits() -> None:
    torch.manual_seed(0)
    theirs = mobilenet_v2().eval()
    ours = MobileNetV2().eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-5, atol=1e-6)


def test_layers_are_counted_from_one_as_in_the_paper() -> None:
    with torch.device("meta"):
        network = MobileNetV2()
    layers = network.layers
    assert list(layers) == list(range(1, 20))
    assert layers[1] is network.stem
    assert layers[19].get_parameter("0.weight").shape == (1280, 320, 1, 1)
    assert network.insertable_layers == tuple(range(2, 19))
    assert all(isinstance(layers[number], AttendedBlock) for number in network.insertable_layers)


# Layer -> convolution weights that its replacement saves, as the published totals have it.
@pytest.mark.parametrize(
    ("replaced", "weights"), [((9,), 52_608), ((13,), 115_776), ((16,), 315_840), ((14, 17), 431_616)]
)
def test_numbers_are_those_behind_the_published_totals(replaced: tuple[int, ...], weights: int) -> None:
    with torch.device("meta"):
        network = MobileNetV2()
    saved = sum(
        parameter.numel()
        for number in replaced
        for parameter in network.layers[number].parameters()
        if parameter.ndim == 4
    )
    assert saved == weights
