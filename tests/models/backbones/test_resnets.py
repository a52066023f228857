import pytest
import torch
from torch import nn

from gradscape.models import count_macs, count_parameters, create_model
from gradscape.models.backbones.resnets import ResNet


def _small(**options: str) -> ResNet:
    torch.manual_seed(0)
    network = ResNet((1, 1, 1, 1), bottleneck=True, num_classes=7, small_images=True, width=0.25, **options)  # type: ignore[arg-type]
    return network.eval().requires_grad_(False)


def test_strides_of_the_first_convolutions_leave_the_weights_as_they_are() -> None:
    second, first = _small().state_dict(), _small(stride="first").state_dict()
    assert second.keys() == first.keys()
    assert all(torch.equal(second[key], first[key]) for key in second)


def test_a_block_with_its_stride_first_is_one_without_strides_on_every_second_pixel() -> None:
    network, whole = _small(stride="first"), _small(stride="first")
    for module in whole.modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
    torch.manual_seed(1)
    x = torch.randn(2, 64, 8, 12)
    torch.testing.assert_close(network.layer2(x), whole.layer2(x[:, :, ::2, ::2]))
    assert not torch.allclose(network.layer2(x), _small().layer2(x))


def test_strides_of_the_first_convolutions_save_three_quarters_of_these() -> None:
    sizes = count_macs(_small(), 32), count_macs(_small(stride="first"), 32)
    # Height × width, channels in and out of each first convolution that comes to have a stride.
    moved = ((32**2, 64, 32), (16**2, 128, 64), (8**2, 256, 128))
    assert sizes[0] - sizes[1] == sum(3 * pixels * channels * filters // 4 for pixels, channels, filters in moved)


@pytest.mark.parametrize("name", ["resnet18", "cifar_resnet34", "wide_resnet18_2"])
def test_blocks_of_two_3x3_convolutions_have_no_first_1x1_convolution_for_the_stride(name: str) -> None:
    message = "^`stride` can be first where blocks begin with a 1×1 convolution; this network has none such$"
    with pytest.raises(ValueError, match=message), torch.device("meta"):
        create_model(f"{name}@stride=first")


def test_grouped_bottlenecks_for_small_images_have_the_option_too() -> None:
    with torch.device("meta"):
        network = create_model("cifar_resnext29_8x64d@stride=first", num_classes=100)
    assert count_parameters(network) == 34_518_948
    assert count_macs(network, 32) == 5_387_358_208 - 2 * 201_326_592
