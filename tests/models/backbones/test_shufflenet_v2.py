import pytest
import torch
from torchvision.models import shufflenet_v2_x1_0

from gradscape.models import count_parameters
from gradscape.models.backbones.shufflenet_v2 import ShuffleNetV2
from gradscape.models.sites import AttendedBlock, Shape, find_sites
from tests.models.attention_doubles import attend
from tests.models.plain_layers import convolved


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


@pytest.mark.parametrize("stride", [1, 2])
def test_attention_is_on_the_half_with_three_convolutions_and_on_the_shuffled_output(stride: int) -> None:
    network = ShuffleNetV2(small_images=True).double().eval()
    block = network.get_submodule("stage2.1" if stride == 1 else "stage2.0")
    assert isinstance(block, AttendedBlock)
    state = attend(block)
    channels = 116 if stride == 1 else 24
    x = torch.randn(2, channels, 6, 10, dtype=torch.float64)

    first, last = (x[:, :58], x[:, 58:]) if stride == 1 else (x, x)
    if stride == 2:
        first = convolved(first, state, "branch1.0", stride=2, groups=channels)
        first = convolved(first, state, "branch1.2").relu()
    last = convolved(last, state, "branch2.0").relu()
    last = convolved(last, state, "branch2.3", stride=stride, groups=58)
    last = convolved(last, state, "branch2.5").relu()
    last = 2 * last + x.mean()
    expected = 2 * torch.stack([half[:, i] for i in range(58) for half in (first, last)], 1)
    torch.testing.assert_close(block(x), expected)
