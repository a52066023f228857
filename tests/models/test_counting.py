import pytest
import torch
from torch import nn

from gradscape.models import count_macs, count_parameters, create_model


def test_macs_of_each_kind_of_layer_are_counted_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2)),  # 8 × 5 × 5 outputs of 3 × 15 products
        nn.Conv2d(8, 12, 3, groups=4, padding=1, bias=False),  # 12 × 5 × 5 of 2 × 9
        nn.ConvTranspose2d(12, 6, 2, stride=2, groups=3),  # 12 × 5 × 5 inputs to 2 × 4
        nn.BatchNorm2d(6),
        nn.Flatten(),
        nn.Linear(600, 7),
    )
    expected = 200 * 45 + 300 * 18 + 300 * 8 + 600 * 7
    assert count_macs(network, 10) == expected


def test_macs_of_attention_are_those_of_its_projections() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(3, 1, batch_first=True)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            tokens = images.flatten(2).transpose(1, 2)
            return self.attention(tokens, tokens, tokens)[0]

    assert count_macs(Attention(), 5) == 25 * 4 * 9  # 25 tokens; queries, keys, values and output of 3 × 3


@pytest.mark.parametrize(
    ("name", "billions"),  # torchvision's published figures, biases and normalizations left out as here
    [("resnet50", "4.089"), ("mobilenet_v2", "0.301"), ("densenet121", "2.834")],
)
def test_macs_equal_published_figures(name: str, billions: str) -> None:
    with torch.device("meta"):
        network = create_model(name, num_classes=1000)
    assert f"{count_macs(network, 224) / 1e9:.3f}" == billions


def test_macs_of_a_upanet_equal_the_sum_over_its_published_table() -> None:
    width = 16
    macs = 1024 * (
        3 * 9 * 2 * width + 2 * width * 9 * width + 2 * 3 * width
    )  # root, and both branches of its attention
    for filters, side in ((16, 32), (32, 32), (64, 16), (128, 8)):
        macs += side * side * (filters * 9 * 2 * filters + 2 * filters * 9 * filters + 2 * filters * filters)
        out = side if filters == 16 else side // 2
        step = filters // 4
        for block in range(4):
            channels = filters + block * step
            macs += out * out * (channels * 9 * 2 * step + 2 * step * 9 * step + channels * step)
    macs += 1024 * 16 + 1024 * 32 + 256 * 64 + 64 * 128 + 16 * 256 + 31 * 16 * 10
    assert count_macs(create_model("upanet16"), 32) == macs


def test_counting_leaves_the_model_as_it_was() -> None:
    network = create_model("resnet20").train()
    network.get_submodule("bn1").eval()
    modes = [module.training for module in network.modules()]
    state = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    count_macs(network, 16)
    with pytest.raises(RuntimeError):
        count_macs(nn.Sequential(network, nn.Linear(3, 3)), 16)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(state[key], tensor) for key, tensor in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_frozen_parameters_count_tied_ones_count_once_and_statistics_do_not() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    network[0].weight.requires_grad_(False)
    assert count_parameters(network) == 9 + 3 + 6 + 3
