from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import random_directions
from gradscape.landscape.engine.graph import fold_batch_norms, trace
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.engine.network import TracedNetwork, evaluable
from gradscape.landscape.engine.plan import plain_plan
from tests.landscape.networks import images_and_labels, small_net

IMAGES, _ = images_and_labels(9)
POSITIONS = [(0.3, -0.2), (0.0, 0.0), (-0.25, 0.1)]
SPACES: dict[str, Mapping[str, Any]] = {
    "weights": {},
    "batch norms too": {"ignore": "none"},
    "statistics too": {"ignore": "none", "space": "states"},
    "biases alone": {"ignore": "none", "parameters": "*.bias"},
    "one layer": {"parameters": "0.weight"},
}


def _moved_outputs(model: nn.Module, directions: Any) -> list[Tensor]:
    with evaluable(model), moving(model, directions) as move_to:
        outputs = []
        for position in POSITIONS:
            move_to(position)
            outputs.append(model(IMAGES))
    return outputs


def _network(model: nn.Module, directions: Any, **changes: Any) -> TracedNetwork:
    with evaluable(model):
        graph = fold_batch_norms(trace(model, IMAGES, lambda module, inputs: module(inputs)))
        plan = replace(plain_plan(model, precision="fp32", batch_size=32), traced=True, **changes)
        return TracedNetwork(graph, model, directions, plan)


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
@pytest.mark.parametrize("space", SPACES)
def test_the_graph_moves_as_the_module_does(space: str, memory_format: str) -> None:
    model = small_net()
    directions = random_directions(model, seed=3, **SPACES[space])
    network = _network(model, directions, memory_format=memory_format)
    with torch.no_grad():
        for position, expected in zip(POSITIONS, _moved_outputs(model, directions), strict=True):
            network.move_to([position])
            (output,) = network.outputs(IMAGES)
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_points_go_through_side_by_side_in_their_order() -> None:
    model = small_net()
    directions = random_directions(model, seed=3)
    network = _network(model, directions, points_per_forward=3)
    with torch.no_grad():
        network.move_to(POSITIONS)
        for output, expected in zip(network.outputs(IMAGES), _moved_outputs(model, directions), strict=True):
            torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


def test_batch_norms_that_move_are_folded_anew_and_cannot_go_side_by_side() -> None:
    model = small_net()
    directions = random_directions(model, seed=3, ignore="none")
    with pytest.raises(ValueError, match="`points` must be 1 where batch norms are folded anew"):
        _network(model, directions, points_per_forward=3)


def test_compiled_code_follows_the_weights_and_odd_batches_go_through_the_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[int] = []

    def compile_(module: nn.Module, **_: Any) -> Any:
        def run(inputs: Tensor) -> Tensor:
            compiled.append(len(inputs))
            return module(inputs)

        return run

    monkeypatch.setattr(torch, "compile", compile_)
    model = small_net()
    directions = random_directions(model, seed=3)
    network = _network(model, directions, compiled=True, batch_size=9)
    with torch.no_grad():
        for position, expected in zip(POSITIONS, _moved_outputs(model, directions), strict=True):
            network.move_to([position])
            torch.testing.assert_close(network.outputs(IMAGES)[0], expected, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(network.outputs(IMAGES[:4])[0], expected[:4], rtol=1e-4, atol=1e-5)
    assert compiled == [9, 9, 9]


def test_the_users_module_is_not_touched() -> None:
    model = small_net()
    before = {name: (tensor, tensor.data_ptr(), tensor.clone()) for name, tensor in model.state_dict().items()}
    network = _network(model, random_directions(model, seed=3, ignore="none", space="states"))
    with torch.no_grad():
        network.move_to([(5.0, 5.0)])
        network.outputs(IMAGES)
    for name, tensor in model.state_dict().items():
        assert tensor.data_ptr() == before[name][1]
        assert torch.equal(tensor, before[name][2])


class _Overflowing(nn.Module):
    """Its first layer overflows in one image: to minus infinity, which the rectifier makes 0."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 2, 1, bias=False), nn.Conv2d(2, 4, 1)
        nn.init.constant_(self.first.weight, -1.0)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(images))).amax(dim=(2, 3))


def test_what_overflows_is_computed_again_by_the_exact_graph() -> None:
    torch.manual_seed(1)
    model = _Overflowing().eval()
    images = IMAGES.abs()
    images[4] = 2e38
    network = _network(model, random_directions(model, seed=3))
    with torch.no_grad():
        network.move_to([(0.0, 0.0)])
        (output,) = network.outputs(images)
        expected = model(images)
    assert torch.isinf(model.first(images)[4]).all()
    assert torch.isfinite(expected).all()
    torch.testing.assert_close(output, expected, rtol=1e-5, atol=1e-6)
