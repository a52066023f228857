import pytest
import torch
from torch import nn

from gradscape._taps import collected_taps
from gradscape.models.attentions.double_attention import DoubleAttention
from tests.models.attentions.conftest import Settle


def test_pixels_mix_the_descriptors_that_were_gathered(settle: Settle) -> None:
    module = DoubleAttention(6, reduction=2)
    settle(module)
    height, width = 2, 5
    x = torch.randn(2, 6, height, width).double()

    def embed(conv: nn.Conv2d, image: torch.Tensor) -> torch.Tensor:
        assert conv.bias is not None
        return conv.weight[:, :, 0, 0] @ image.flatten(1) + conv.bias[:, None]

    expected, affinity = x.clone(), torch.zeros(2, 1, 10, 10).double()
    for image in range(2):
        features = embed(module.features, x[image])
        gather = embed(module.gather, x[image]).exp()
        distribute = embed(module.distribute, x[image]).exp()
        descriptors = []
        for n in range(3):
            weights = gather[n] / gather[n].sum()
            descriptors.append(sum(weights[p] * features[:, p] for p in range(10)))
        for p in range(10):
            shares = distribute[:, p] / distribute[:, p].sum()
            mixed = sum(shares[n] * descriptors[n] for n in range(3))
            for q in range(10):
                affinity[image, 0, p, q] = sum(shares[n] * gather[n, q] / gather[n].sum() for n in range(3))
            part = module.expand.weight[:, :, 0, 0] @ mixed + module.expand.bias  # type: ignore[operator]
            expected[image, :, p // width, p % width] += part
    with collected_taps(module, ["affinity"]) as collected:
        torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(module(x), expected)
    torch.testing.assert_close(collected["affinity"][0], affinity)


def test_weights_of_the_convolutions_equal_the_printed_ones() -> None:
    with torch.device("meta"):
        module = DoubleAttention(512)
    assert sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Conv2d)) == 65_536


def test_a_reduction_that_leaves_no_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`reduction` of an attention over 8 channels must be from 1 to 8, got 16$"):
        DoubleAttention(8)
