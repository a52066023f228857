import pytest
import torch
from torch.nn import functional as F
from torchvision.models import efficientnet_b0

from gradscape.models import count_parameters
from gradscape.models.backbones.efficientnet import EfficientNetB0
from gradscape.models.sites import AttendedBlock, Shape, find_sites
from tests.models.attention_doubles import attend
from tests.models.plain_layers import convolved, dense


@pytest.mark.parametrize(("num_classes", "parameters"), [(100, 4_135_648), (1000, 5_288_548)])
def test_parameters_equal_the_published_networks_to_the_digit(num_classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(EfficientNetB0(num_classes=num_classes)) == parameters


@pytest.mark.parametrize(("num_classes", "parameters", "printed"), [(10, 3_599_686, 3.60), (100, 3_628_576, 3.63)])
def test_parameters_for_small_images_are_the_published_ones_without_those_no_image_passes(
    num_classes: int, parameters: int, printed: float
) -> None:
    with torch.device("meta"):
        counted = count_parameters(EfficientNetB0(num_classes=num_classes, small_images=True))
    unused = 32 * 32 + 2 * 32  # a 1×1 convolution of 32 channels and its normalization
    assert counted == parameters - unused
    assert round(counted / 1e6, 2) == printed


@pytest.mark.parametrize("training", [False, True])
def test_torchvision_weights_load_and_give_the_same_logits(*, training: bool) -> None:
    original = efficientnet_b0(weights=None, num_classes=7).train(training)
    network = EfficientNetB0(num_classes=7).train(training)
    network.load_state_dict(original.state_dict())
    images = torch.randn(5, 3, 64, 96)
    logits = []
    for model in (network, original):
        torch.manual_seed(3)  # dropout and stochastic depth, in training
        logits.append(model(images))
    torch.testing.assert_close(logits[0], logits[1])


@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.parametrize("small_images", [False, True])
def test_one_image_of_any_size_gives_features_and_logits(image_size: int, *, small_images: bool) -> None:
    network = EfficientNetB0(num_classes=7, small_images=small_images).eval()
    image = torch.randn(1, 3, image_size, image_size)
    assert network.forward_features(image).shape == (1, 320 if small_images else 1280)
    assert network(image).isfinite().all()


def test_every_parameter_of_the_small_network_learns() -> None:
    network = EfficientNetB0(num_classes=7, small_images=True).eval()
    network(torch.randn(2, 3, 16, 16)).square().sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_sites_are_all_sixteen_blocks() -> None:
    sites = find_sites(EfficientNetB0(small_images=True), 32)
    assert len(sites) == 16
    assert sites[1].name == "features.2.0"
    assert sites[1].input == Shape(16, 32, 32)
    assert sites[1].branch == sites[1].output == Shape(24, 16, 16)


@pytest.mark.parametrize(("name", "channels", "stride"), [("features.3.0", 24, 2), ("features.3.1", 40, 1)])
def test_attention_is_on_the_branch_before_the_shortcut_and_on_the_output(
    name: str, channels: int, stride: int
) -> None:
    block = EfficientNetB0(small_images=True).double().eval().get_submodule(name)
    assert isinstance(block, AttendedBlock)
    state = attend(block)
    x = torch.randn(2, channels, 6, 10, dtype=torch.float64)

    out = F.silu(convolved(x, state, "block.0.0"))
    out = F.silu(convolved(out, state, "block.1.0", stride=stride, groups=6 * channels))
    weights = F.silu(dense(out.mean((2, 3)), state, "block.2.fc1"))
    out = out * dense(weights, state, "block.2.fc2").sigmoid()[:, :, None, None]
    out = 2 * convolved(out, state, "block.3.0") + x.mean()
    expected = 2 * (x + out if stride == 1 else out)
    torch.testing.assert_close(block(x), expected)
