import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape.models import count_parameters
from gradscape.models.backbones.senet import CifarSENet18
from gradscape.models.sites import AttendedBlock, Shape, find_sites, replace_convolutions
from tests.models.attention_doubles import Double, attend
from tests.models.plain_layers import dense, normalized


@pytest.mark.parametrize("num_classes", [10, 100])
def test_parameters_are_those_of_the_preactivation_network_and_of_squeeze_and_excitation(num_classes: int) -> None:
    with torch.device("meta"):
        network = CifarSENet18(num_classes=num_classes)
    preactivation_resnet18 = 11_171_146 + (num_classes - 10) * 513
    squeeze_excitation = 2 * sum(2 * c * c // 16 + c // 16 + c for c in (64, 128, 256, 512))
    stem_normalization = 2 * 64
    assert count_parameters(network) == preactivation_resnet18 + squeeze_excitation + stem_normalization
    assert round(count_parameters(network) / 1e6, 2) == {10: 11.26, 100: 11.31}[num_classes]


@pytest.mark.parametrize("image_size", [32, 64])
def test_one_image_of_any_size_gives_logits(image_size: int) -> None:
    assert CifarSENet18(num_classes=7).eval()(torch.randn(1, 3, image_size, image_size)).isfinite().all()


def test_sites_are_all_eight_blocks() -> None:
    sites = find_sites(CifarSENet18(), 32)
    assert len(sites) == 8
    assert sites[2].name == "stages.1.0"
    assert sites[2].input == sites[2].convolved == Shape(64, 32, 32)
    assert sites[2].branch == sites[2].output == Shape(128, 16, 16)


def _weighted(out: Tensor, state: dict[str, Tensor]) -> Tensor:
    weights = dense(dense(out.mean((2, 3)), state, "se.excitation.0").relu(), state, "se.excitation.2").sigmoid()
    return out * weights[:, :, None, None]


@pytest.mark.parametrize(("name", "stride"), [("stages.1.0", 2), ("stages.1.1", 1)])
def test_attention_is_on_the_branch_before_the_shortcut_and_on_the_output(name: str, stride: int) -> None:
    block = CifarSENet18().double().eval().get_submodule(name)
    assert isinstance(block, AttendedBlock)
    state = attend(block)
    x = torch.randn(2, 128 // stride, 6, 10, dtype=torch.float64)

    activated = normalized(x, state, "bn1").relu()
    out = F.conv2d(activated, state["conv1.weight"], stride=stride, padding=1)
    out = F.conv2d(normalized(out, state, "bn2").relu(), state["conv2.weight"], padding=1)
    out = 2 * _weighted(out, state) + x.mean()
    shortcut = x if stride == 1 else F.conv2d(activated, state["shortcut.weight"], stride=2)
    torch.testing.assert_close(block(x), 2 * (out + shortcut))


def test_replaced_convolution_goes_with_the_normalization_after_it() -> None:
    network = CifarSENet18().eval()
    site = find_sites(network, 32)[1]
    state = site.block.double().state_dict()
    replace_convolutions([site], lambda _site: Double(), normalized=True)
    x = torch.randn(2, 64, 6, 10, dtype=torch.float64)
    out = 2 * normalized(x, state, "bn1").relu()
    out = F.conv2d(out, state["conv2.weight"], padding=1)
    torch.testing.assert_close(site.block(x), x + _weighted(out, state))
