import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import efficientnet_b0

from gradscape.models import count_parameters
from gradscape.models.attachment import AttendedBlock, Shape, find_sites
from gradscape.models.backbones.efficientnet import EfficientNetB0


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


@pytest.mark.parametrize("small_images", [False, True])
def test_stages_shrink_the_map_and_the_head_takes_the_features(*, small_images: bool) -> None:
    network = EfficientNetB0(num_classes=7, small_images=small_images).eval()
    shapes = []
    for name in ("stem", *(f"stages.{i}" for i in range(7))):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: shapes.append(tuple(output.shape))
        )
    images = torch.randn(2, 3, 64, 96)
    logits = network(images)
    height, width = (64, 96) if small_images else (32, 48)
    assert shapes == [
        (2, channels, height // shrinkage, width // shrinkage)
        for channels, shrinkage in zip((32, 16, 24, 40, 80, 112, 192, 320), (1, 1, 2, 4, 8, 8, 16, 16), strict=True)
    ]
    features = network.forward_features(images)
    assert features.shape == (2, 320 if small_images else 1280)
    assert logits.shape == (2, 7)
    assert torch.equal(network.head(features), logits)


@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.parametrize("small_images", [False, True])
def test_one_image_of_any_size_gives_logits(image_size: int, *, small_images: bool) -> None:
    network = EfficientNetB0(num_classes=7, small_images=small_images).eval()
    assert network(torch.randn(1, 3, image_size, image_size)).isfinite().all()


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


class _Double(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return 2 * features


class _AddMean(nn.Module):
    def forward(self, branch: Tensor, block_input: Tensor) -> Tensor:
        return branch + block_input.mean()


def _attend(block: AttendedBlock) -> dict[str, Tensor]:
    """Double the branch, then add the input's mean to it; double the output. Return the block's random tensors."""
    for tensor in (*block.parameters(), *block.buffers()):
        if tensor.is_floating_point():
            tensor.detach().uniform_(0.1, 0.9)
    state = block.state_dict()
    block.add_attention("first", _Double(), place="branch")
    block.add_attention("second", _AddMean(), place="gate")
    block.add_attention("third", _Double(), place="output")
    return state


def _normalized(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def _convolved(x: Tensor, state: dict[str, Tensor], name: str, *, stride: int = 1, groups: int = 1) -> Tensor:
    weight = state[f"{name}.0.weight"]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    return _normalized(x, state, f"{name}.1")


def _dense(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"][:, :, 0, 0].T + state[f"{name}.bias"]


@pytest.mark.parametrize(("name", "channels", "stride"), [("features.3.0", 24, 2), ("features.3.1", 40, 1)])
def test_attention_is_on_the_branch_before_the_shortcut_and_on_the_output(
    name: str, channels: int, stride: int
) -> None:
    block = EfficientNetB0(small_images=True).double().eval().get_submodule(name)
    assert isinstance(block, AttendedBlock)
    state = _attend(block)
    x = torch.randn(2, channels, 6, 10, dtype=torch.float64)

    out = F.silu(_convolved(x, state, "block.0"))
    out = F.silu(_convolved(out, state, "block.1", stride=stride, groups=6 * channels))
    weights = F.silu(_dense(out.mean((2, 3)), state, "block.2.fc1"))
    out = out * _dense(weights, state, "block.2.fc2").sigmoid()[:, :, None, None]
    out = 2 * _convolved(out, state, "block.3") + x.mean()
    expected = 2 * (x + out if stride == 1 else out)
    torch.testing.assert_close(block(x), expected)
