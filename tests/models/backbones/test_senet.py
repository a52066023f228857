import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation as TorchvisionSqueezeExcitation

from gradscape._taps import collected_taps
from gradscape.models import count_parameters
from gradscape.models.attachment import AttendedBlock, Shape, find_sites, replace_convolutions
from gradscape.models.backbones.senet import CifarSENet18, SqueezeExcitation


@pytest.mark.parametrize("num_classes", [10, 100])
def test_parameters_are_those_of_the_preactivation_network_and_of_squeeze_and_excitation(num_classes: int) -> None:
    with torch.device("meta"):
        network = CifarSENet18(num_classes=num_classes)
    preactivation_resnet18 = 11_171_146 + (num_classes - 10) * 513
    squeeze_excitation = 2 * sum(2 * c * c // 16 + c // 16 + c for c in (64, 128, 256, 512))
    stem_normalization = 2 * 64
    assert count_parameters(network) == preactivation_resnet18 + squeeze_excitation + stem_normalization
    assert round(count_parameters(network) / 1e6, 2) == {10: 11.26, 100: 11.31}[num_classes]


def test_squeeze_and_excitation_is_that_of_torchvision() -> None:
    original = TorchvisionSqueezeExcitation(12, 5, activation=nn.SiLU)
    block = SqueezeExcitation(12, 5, nn.SiLU)
    block.load_state_dict(original.state_dict())
    x = torch.randn(2, 12, 3, 7)
    torch.testing.assert_close(block(x), original(x))


def test_squeeze_and_excitation_shows_a_weight_for_each_channel() -> None:
    x = torch.randn(2, 12, 3, 7)
    block = SqueezeExcitation(12, 5)
    with collected_taps(block) as tensors:
        block(x)
    (before,), (channel,), (result,) = tensors["before"], tensors["channel"], tensors["result"]
    assert torch.equal(before, x)
    assert channel.shape == (2, 12, 1, 1)
    torch.testing.assert_close(result, x * channel)


def test_stages_shrink_the_map_and_the_head_takes_the_features() -> None:
    network = CifarSENet18(num_classes=7).eval()
    shapes = []
    for name in ("stem", "stages.0", "stages.1", "stages.2", "stages.3"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: shapes.append(tuple(output.shape))
        )
    images = torch.randn(2, 3, 16, 24)
    logits = network(images)
    assert shapes == [(2, 64, 16, 24), (2, 64, 16, 24), (2, 128, 8, 12), (2, 256, 4, 6), (2, 512, 2, 3)]
    assert logits.shape == (2, 7)
    assert torch.equal(network.head(network.forward_features(images)), logits)


@pytest.mark.parametrize("image_size", [32, 64])
def test_one_image_of_any_size_gives_logits(image_size: int) -> None:
    assert CifarSENet18(num_classes=7).eval()(torch.randn(1, 3, image_size, image_size)).isfinite().all()


def test_sites_are_all_eight_blocks() -> None:
    sites = find_sites(CifarSENet18(), 32)
    assert len(sites) == 8
    assert sites[2].name == "stages.1.0"
    assert sites[2].input == sites[2].convolved == Shape(64, 32, 32)
    assert sites[2].branch == sites[2].output == Shape(128, 16, 16)


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


def _dense(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    return x @ state[f"{name}.weight"][:, :, 0, 0].T + state[f"{name}.bias"]


def _weighted(out: Tensor, state: dict[str, Tensor]) -> Tensor:
    weights = _dense(_dense(out.mean((2, 3)), state, "se.fc1").relu(), state, "se.fc2").sigmoid()
    return out * weights[:, :, None, None]


@pytest.mark.parametrize(("name", "stride"), [("stages.1.0", 2), ("stages.1.1", 1)])
def test_attention_is_on_the_branch_before_the_shortcut_and_on_the_output(name: str, stride: int) -> None:
    block = CifarSENet18().double().eval().get_submodule(name)
    assert isinstance(block, AttendedBlock)
    state = _attend(block)
    x = torch.randn(2, 128 // stride, 6, 10, dtype=torch.float64)

    activated = _normalized(x, state, "bn1").relu()
    out = F.conv2d(activated, state["conv1.weight"], stride=stride, padding=1)
    out = F.conv2d(_normalized(out, state, "bn2").relu(), state["conv2.weight"], padding=1)
    out = 2 * _weighted(out, state) + x.mean()
    shortcut = x if stride == 1 else F.conv2d(activated, state["shortcut.weight"], stride=2)
    torch.testing.assert_close(block(x), 2 * (out + shortcut))


def test_replaced_convolution_goes_with_the_normalization_after_it() -> None:
    network = CifarSENet18().eval()
    site = find_sites(network, 32)[1]
    state = site.block.double().state_dict()
    replace_convolutions([site], lambda _site: _Double(), normalized=True)
    x = torch.randn(2, 64, 6, 10, dtype=torch.float64)
    out = 2 * _normalized(x, state, "bn1").relu()
    out = F.conv2d(out, state["conv2.weight"], padding=1)
    torch.testing.assert_close(site.block(x), x + _weighted(out, state))
