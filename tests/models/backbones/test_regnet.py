import pytest
import torch
from torchvision.models.regnet import BlockParams, RegNet

from gradscape.models import count_parameters
from gradscape.models.backbones.regnet import CifarRegNetY400MF
from gradscape.models.sites import AttendedBlock, Shape, find_sites
from tests.models.attention_doubles import attend
from tests.models.plain_layers import convolved, dense


@pytest.mark.parametrize(("num_classes", "parameters", "printed"), [(10, 5_714_362, 5.71), (100, 5_749_012, 5.75)])
def test_parameters_equal_the_published_networks_to_the_digit(
    num_classes: int, parameters: int, printed: float
) -> None:
    with torch.device("meta"):
        counted = count_parameters(CifarRegNetY400MF(num_classes=num_classes))
    assert counted == parameters
    assert round(counted / 1e6, 2) == printed


def test_torchvision_weights_load_and_give_the_same_logits() -> None:
    # RegNetX-400MF by the paper's rule; the last width lies midway between multiples of 16, and the paper rounds down.
    stages = BlockParams.from_init_params(depth=22, w_0=24, w_a=24.48, w_m=2.54, group_width=16, se_ratio=0.25)
    assert stages.widths == [32, 64, 160, 400]
    stages.widths = [32, 64, 160, 384]
    stages.strides = [1, 1, 2, 2]
    original = RegNet(stages, num_classes=7, stem_width=64).eval()
    original.stem[0].stride = (1, 1)
    network = CifarRegNetY400MF(num_classes=7).eval()
    network.load_state_dict(original.state_dict())
    images = torch.randn(3, 3, 16, 24)
    torch.testing.assert_close(network(images), original(images))


@pytest.mark.parametrize("image_size", [32, 64])
def test_one_image_of_any_size_gives_logits(image_size: int) -> None:
    assert CifarRegNetY400MF(num_classes=7).eval()(torch.randn(1, 3, image_size, image_size)).isfinite().all()


def test_sites_are_all_twenty_two_blocks() -> None:
    sites = find_sites(CifarRegNetY400MF(), 32)
    assert len(sites) == 22
    assert sites[3].name == "trunk_output.block3.block3-0"
    assert sites[3].input == Shape(64, 32, 32)
    assert sites[3].branch == sites[3].output == Shape(160, 16, 16)


@pytest.mark.parametrize(("name", "channels", "stride"), [("block3-0", 64, 2), ("block3-1", 160, 1)])
def test_attention_is_on_the_branch_before_the_shortcut_and_on_the_output(
    name: str, channels: int, stride: int
) -> None:
    block = CifarRegNetY400MF().double().eval().get_submodule(f"trunk_output.block3.{name}")
    assert isinstance(block, AttendedBlock)
    state = attend(block)
    x = torch.randn(2, channels, 6, 10, dtype=torch.float64)

    out = convolved(x, state, "f.a.0").relu()
    out = convolved(out, state, "f.b.0", stride=stride, groups=160 // 16).relu()
    weights = dense(out.mean((2, 3)), state, "f.se.fc1").relu()
    out = out * dense(weights, state, "f.se.fc2").sigmoid()[:, :, None, None]
    out = 2 * convolved(out, state, "f.c.0") + x.mean()
    shortcut = x if stride == 1 else convolved(x, state, "proj.0", stride=2)
    torch.testing.assert_close(block(x), 2 * (shortcut + out).relu())
