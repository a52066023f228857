import pytest
import torch

from gradscape.models import count_parameters, create_model
from gradscape.models.backbones.densenet import DenseNet100, DenseNet201


@pytest.mark.parametrize(
    ("option", "num_classes", "parameters"),
    [
        ("", 10, 6_956_298),
        ("@growth_rate=12", 10, 1_000_618),
        ("@growth_rate=16", 10, 1_762_954),
        ("@growth_rate=16", 100, 1_809_124),
    ],
)
def test_parameters_equal_the_published_networks_to_the_digit(option: str, num_classes: int, parameters: int) -> None:
    assert count_parameters(create_model(f"cifar_densenet121{option}", num_classes=num_classes)) == parameters


@pytest.mark.parametrize(("num_classes", "parameters"), [(10, 769_162), (100, 800_032)])
def test_network_of_100_layers_has_the_published_parameters(num_classes: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count_parameters(DenseNet100(num_classes=num_classes)) == parameters


def test_network_of_201_layers_has_the_published_parameters() -> None:
    with torch.device("meta"):
        assert round(count_parameters(DenseNet201()) / 1e6, 2) == 18.10
        assert count_parameters(DenseNet201(num_classes=100)) == 18_277_220


def test_stages_have_the_widths_of_a_compressed_dense_network() -> None:
    network = create_model("cifar_densenet121@growth_rate=4", num_classes=7).eval()
    shapes = []
    for name in ("stem", "stages.0", "stages.1", "stages.2", "stages.3"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:]))
        )
    assert network(torch.randn(2, 3, 16, 24)).shape == (2, 7)
    # The growth rate k = 4: 2k, then 2k + 6k halved, 4k + 12k halved, 8k + 24k halved, 16k + 16k.
    assert shapes == [(8, 16, 24), (32, 16, 24), (64, 8, 12), (128, 4, 6), (128, 2, 3)]


def test_dense_layer_keeps_its_input_behind_what_it_adds() -> None:
    layer = create_model("cifar_densenet121@growth_rate=4").eval().get_submodule("dense1.1")
    x = torch.randn(2, 12, 5, 7)
    out = layer(x)
    assert out.shape == (2, 16, 5, 7)
    assert torch.equal(out[:, 4:], x)


def test_growth_rate_must_be_positive() -> None:
    with pytest.raises(ValueError, match="`growth_rate` must be positive, got 0"):
        create_model("cifar_densenet121@growth_rate=0")
