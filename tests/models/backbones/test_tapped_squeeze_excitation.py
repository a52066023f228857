import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from gradscape._taps import collected_taps
from gradscape.models.backbones.tapped_squeeze_excitation import TappedSqueezeExcitation


def test_squeeze_and_excitation_is_that_of_torchvision() -> None:
    original = SqueezeExcitation(12, 5, activation=nn.SiLU)
    block = TappedSqueezeExcitation(12, 5, nn.SiLU)
    block.load_state_dict(original.state_dict())
    x = torch.randn(2, 12, 3, 7)
    torch.testing.assert_close(block(x), original(x))


def test_squeeze_and_excitation_shows_a_weight_for_each_channel() -> None:
    x = torch.randn(2, 12, 3, 7)
    block = TappedSqueezeExcitation(12, 5)
    with collected_taps(block) as tensors:
        block(x)
    (before,), (channel,), (result,) = tensors["before"], tensors["channel"], tensors["result"]
    assert torch.equal(before, x)
    assert channel.shape == (2, 12, 1, 1)
    torch.testing.assert_close(result, x * channel)
