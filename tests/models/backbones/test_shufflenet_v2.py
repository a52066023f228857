import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import shufflenet_v2_x1_0

from gradscape.models import count_parameters
from gradscape.models.attachment import AttendedBlock, Shape, find_sites
from gradscape.models.backbones.shufflenet_v2 import ShuffleNetV2


@pytest.mark.parametrize(("num_classes", "parameters"), [(10, 1_263_854), (100, 1_356_104)])
@pytest.mark.parametrize("small_images", [False, True])
def test_parameters_equal_the_published_networks_to_the_digit(
    num_classes: int, parameters: int, *, small_images: bool
) -> None:
    with torch.device("meta"):
        network = ShuffleNetV2(num_classes=num_classes, small_images=small_images)
    assert count_parameters(network) == parameters


@pytest.mark.parametrize("training", [False, True])
def test_torchvision_weights_load_and_give_the_same_logits(*, training: bool) -> None:
    original = shufflenet_v2_x1_0(weights=None, num_classes=7).train(training)
    network = ShuffleNetV2(num_classes=7).train(training)
    network.load_state_dict(original.state_dict())
    images = torch.randn(3, 3, 64, 96)
    assert torch.equal(network(images), original(images))


@pytest.mark.parametrize(("small_images", "shrinkage"), [(False, 4), (True, 1)])
def test_stages_shrink_the_map_and_the_head_takes_the_features(shrinkage: int, *, small_images: bool) -> None:
    network = ShuffleNetV2(num_classes=7, small_images=small_images).eval()
    shapes = []
    for name in ("stem", "stages.0", "stages.1", "stages.2"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: shapes.append(tuple(output.shape))
        )
    images = torch.randn(2, 3, 64, 96)
    logits = network(images)
    height, width = 64 // shrinkage, 96 // shrinkage
    assert shapes == [
        (2, 24, height, width),
        (2, 116, height // 2, width // 2),
        (2, 232, height // 4, width // 4),
        (2, 464, height // 8, width // 8),
    ]
    assert logits.shape == (2, 7)
    assert torch.equal(network.head(network.forward_features(images)), logits)


@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.parametrize("small_images", [False, True])
def test_one_image_of_any_size_gives_logits(image_size: int, *, small_images: bool) -> None:
    network = ShuffleNetV2(num_classes=7, small_images=small_images).eval()
    assert network(torch.randn(1, 3, image_size, image_size)).isfinite().all()


def test_sites_are_all_sixteen_blocks_and_their_branches_are_half_of_the_output() -> None:
    sites = find_sites(ShuffleNetV2(small_images=True), 32)
    assert len(sites) == 16
    assert sites[4].name == "stage3.0"
    assert sites[4].input == Shape(116, 16, 16)
    assert sites[4].branch == Shape(116, 8, 8)
    assert sites[4].output == Shape(232, 8, 8)
    assert [site.branch.channels * 2 for site in sites] == [site.output.channels for site in sites]


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


def _convolved(x: Tensor, state: dict[str, Tensor], names: str, *, stride: int = 1, depthwise: bool = False) -> Tensor:
    convolution, normalization = names.split()
    weight = state[f"{convolution}.weight"]
    x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=x.shape[1] if depthwise else 1)
    return _normalized(x, state, normalization)


@pytest.mark.parametrize("stride", [1, 2])
def test_attention_is_on_the_half_with_three_convolutions_and_on_the_shuffled_output(stride: int) -> None:
    network = ShuffleNetV2(small_images=True).double().eval()
    block = network.get_submodule("stage2.1" if stride == 1 else "stage2.0")
    assert isinstance(block, AttendedBlock)
    state = _attend(block)
    channels = 116 if stride == 1 else 24
    x = torch.randn(2, channels, 6, 10, dtype=torch.float64)

    first, last = (x[:, :58], x[:, 58:]) if stride == 1 else (x, x)
    if stride == 2:
        first = _convolved(first, state, "branch1.0 branch1.1", stride=2, depthwise=True)
        first = _convolved(first, state, "branch1.2 branch1.3").relu()
    last = _convolved(last, state, "branch2.0 branch2.1").relu()
    last = _convolved(last, state, "branch2.3 branch2.4", stride=stride, depthwise=True)
    last = _convolved(last, state, "branch2.5 branch2.6").relu()
    last = 2 * last + x.mean()
    expected = 2 * torch.stack([half[:, i] for i in range(58) for half in (first, last)], 1)
    torch.testing.assert_close(block(x), expected)
