import pytest
import torch
from torch import nn

from gradscape.models import create_model
from gradscape.models.bottleneck import BottleneckChoice, reduced_channels
from gradscape.models.staged import bottleneck_of


def test_channels_are_reduced_to_one_at_least() -> None:
    assert [reduced_channels(40, reduction) for reduction in (1, 16, 40)] == [40, 2, 1]
    with pytest.raises(ValueError, match="`reduction` of an attention over 40 channels must be from 1 to 40, got 41"):
        reduced_channels(40, 41)


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("resnet18", BottleneckChoice()),
        ("mobilenet_v2", BottleneckChoice(reduction=8)),
        ("cifar_densenet100", BottleneckChoice(reduction=3, bias=False, wider=True)),
        ("cifar_mobilenet_v2", BottleneckChoice(bias=False)),
        ("cifar_vgg16", BottleneckChoice(bias=False)),
        ("cifar_preact_resnet18", BottleneckChoice(bias=False)),
        ("cifar_wide_resnet28_8", BottleneckChoice(bias=False)),
    ],
)
def test_attention_in_a_network_has_the_bottleneck_of_spanets_authors(name: str, choice: BottleneckChoice) -> None:
    with torch.device("meta"):
        network = create_model(name)
    assert bottleneck_of(network) == choice
    assert bottleneck_of(network, reduction=5) == BottleneckChoice(5, choice.bias, choice.wider)


def test_a_network_without_stages_has_the_usual_bottleneck() -> None:
    assert bottleneck_of(nn.Linear(2, 3)) == BottleneckChoice()
