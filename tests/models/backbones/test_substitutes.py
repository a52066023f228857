import pytest
import torch
from torch import nn

from gradscape.models.backbones.mobilenet_v1 import MobileNetV1
from gradscape.models.backbones.mobilenet_v2 import MobileNetV2
from gradscape.models.backbones.substitutes import Substitute
from gradscape.models.sites import Shape, find_sites

CREATE = {"mobilenet_v1": MobileNetV1, "mobilenet_v2": MobileNetV2}


@pytest.mark.parametrize(("name", "channels", "side"), [("mobilenet_v1", 64, 4), ("mobilenet_v2", 8, 2)])
def test_substitute_stands_where_the_layer_stood_and_can_be_attended(name: str, channels: int, side: int) -> None:
    network = CREATE[name](width=0.125).eval()
    network.replace_layer(11, Substitute(nn.Tanh(), "tanh"))
    assert network.insertable_layers == tuple(range(2, 15 if name == "mobilenet_v1" else 19))
    site = next(site for site in find_sites(network, 32 * side // 2) if site.name == "features.10")
    assert site.block is network.layers[11]
    assert site.input == site.branch == site.output == Shape(channels, side, side)


@pytest.mark.parametrize("width", [1.0, 0.5])
@pytest.mark.parametrize(
    ("name", "numbers"),
    [("mobilenet_v1", (4, 6, 8, 9, 10, 11, 12, 14)), ("mobilenet_v2", (4, 6, 7, 9, 10, 11, 13, 14, 16, 17))],
)
def test_replaceable_are_the_layers_that_keep_their_inputs_shape(
    name: str, numbers: tuple[int, ...], width: float
) -> None:
    network = CREATE[name](width=width).eval()
    kept = []
    for number, layer in network.layers.items():
        layer.register_forward_hook(
            lambda _module, inputs, output, number=number: (
                kept.append(number) if inputs[0].shape == output.shape else None
            )
        )
    with torch.no_grad():
        network(torch.randn(1, 3, 64, 96))
    assert network.replaceable_layers == tuple(kept) == numbers


@pytest.mark.parametrize(
    ("name", "number", "stage", "module"),
    [
        ("mobilenet_v1", 12, "stages.3", nn.Identity()),
        ("mobilenet_v2", 17, "stages.5", Substitute(nn.Sigmoid(), "sigmoid")),
    ],
)
def test_stage_ends_are_those_that_run_after_a_replacement(
    name: str, number: int, stage: str, module: nn.Module
) -> None:
    network = CREATE[name](width=0.125).eval()
    network.replace_layer(number, module)
    assert network.get_submodule(stage) is module
    assert network(torch.randn(2, 3, 32, 64)).shape == (2, 1000)


def test_replaced_layer_computes_what_its_module_computes() -> None:
    torch.manual_seed(0)
    network = MobileNetV1(width=0.125).eval()
    seen: list[torch.Tensor] = []
    network.layers[10].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    network.replace_layer(11, Substitute(nn.Tanh(), "tanh"))
    network.layers[12].register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    network(torch.randn(2, 3, 64, 96))
    before, after = seen
    assert torch.equal(after, before.tanh())


def test_parameters_of_a_substitute_have_its_modules_name() -> None:
    network = MobileNetV2(width=0.1)
    network.replace_layer(4, Substitute(nn.Conv2d(8, 8, 1), "mixing"))
    assert {key for key in network.state_dict() if key.startswith("features.3.")} == {
        "features.3.mixing.weight",
        "features.3.mixing.bias",
    }


@pytest.mark.parametrize("number", [0, 1, 2, 3, 13, 15])
def test_layer_that_changes_the_shape_is_not_replaced(number: int) -> None:
    network = MobileNetV1(width=0.125)
    message = (
        f"^`number` must be a layer that keeps channels and size, one of 4, 6, 8, 9, 10, 11, 12, 14; got {number}$"
    )
    with pytest.raises(ValueError, match=message):
        network.replace_layer(number, nn.Identity())
