"""Which blocks attention comes to."""

from functools import cache

import pytest
import torch

from gradscape.models import count_parameters, create_model
from gradscape.models.attentions.squeeze_excitation import SqueezeExcitation
from gradscape.models.sites import Host, choose_sites, find_sites


@cache
def _host(name: str) -> Host:
    with torch.device("meta"):
        network = create_model(name)
    return Host(network, find_sites(network, 32), 32)


def _chosen(name: str, *stages: int) -> list[str]:
    return [site.name for site in choose_sites(_host(name), "se", stages)]


def test_blocks_of_chosen_stages_are_taken_in_their_order() -> None:
    assert _chosen("resnet20", 3, 1) == [f"layer{stage}.{block}" for stage in (1, 3) for block in range(3)]
    assert _chosen("resnet20") == [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3)]


def test_blocks_between_the_stages_of_a_mobilenet_belong_to_the_later_one() -> None:
    # Sandler et al., table 2: the second line has two blocks, the third three, the last one.
    assert _chosen("mobilenet_v2", 1, 2, 3, 7) == [f"features.{number}" for number in (1, 2, 3, 4, 5, 6, 17)]
    every = [name for stage in range(1, 8) for name in _chosen("mobilenet_v2", stage)]
    assert every == _chosen("mobilenet_v2")


@pytest.mark.parametrize(
    ("attention", "added"), [("se", 3 * (2 * 256 * 16 + 16 + 256)), ("spa_a", 3 * (2 * 256 * 16 + 2 * 16 + 3))]
)
def test_attention_in_the_first_stage_of_resnet50_alone_adds_that_of_its_three_blocks(
    attention: str, added: int
) -> None:
    with torch.device("meta"):
        network = create_model(f"resnet50+{attention}@stages=1", num_classes=1000, image_size=224)
    assert count_parameters(network) == 25_557_032 + added


@pytest.mark.parametrize("attention", ["se_b", "se_c", "spa_b", "spa_c"])
def test_gates_come_to_chosen_stages_too(attention: str) -> None:
    with torch.device("meta"):
        network = create_model(f"resnet20+{attention}@stages=2")
    gated = {name.rpartition(".")[0] for name, _ in network.named_modules() if name.endswith((".se", ".spa"))}
    assert gated == {f"layer2.{block}" for block in range(3)}


def test_the_rest_of_a_network_with_attention_in_one_stage_is_the_network() -> None:
    torch.manual_seed(0)
    network = create_model("resnet20+se@stages=1", num_classes=5).eval()
    plain = create_model("resnet20", num_classes=5).eval()
    plain.load_state_dict({key: network.state_dict()[key] for key in plain.state_dict()})
    x = torch.randn(2, 3, 16, 24)
    assert not torch.allclose(network(x), plain(x))
    for module in network.modules():
        if isinstance(module, SqueezeExcitation):
            torch.nn.init.constant_(module.excitation.get_parameter("2.weight"), 0)
            torch.nn.init.constant_(module.excitation.get_parameter("2.bias"), 50)  # a weight of one
    torch.testing.assert_close(network(x), plain(x))


def test_stages_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^`stages` of spa_a must lie in 1 … 3, got 4$"):
        create_model("resnet20+spa_a@stages=1:4")
