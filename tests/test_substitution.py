"""Models called with other tensors: tied weights, and layers that stand in two places, which torch's own way breaks."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gradscape._substitution import called_with


def _shared() -> nn.Sequential:
    twice, tied = nn.Linear(3, 3), nn.Linear(3, 3)
    tied.weight = twice.weight
    return nn.Sequential(twice, nn.BatchNorm1d(3), twice, tied).eval()


def test_torchs_own_way_leaves_the_other_tensor_in_a_layer_that_stands_twice() -> None:
    model = _shared()
    weight = model[0].weight
    functional_call(model, {"0.weight": torch.zeros(3, 3)}, (torch.rand(2, 3),))
    assert model[0].weight is not weight, "torch has mended it: `called_with` may go"


@pytest.mark.parametrize("name", ["0.weight", "2.weight", "3.weight"])
def test_every_place_has_the_new_tensor_and_afterwards_the_old_one(name: str) -> None:
    model, images = _shared(), torch.rand(2, 3)
    held = [(module, dict(module._parameters), dict(module._buffers)) for module in model.modules()]
    new = torch.rand(3, 3)
    found = called_with(model, {name: new, "1.running_mean": torch.ones(3)}, images)
    for module, parameters, buffers in held:
        assert all(module._parameters[key] is one for key, one in parameters.items())
        assert all(module._buffers[key] is one for key, one in buffers.items())
    with torch.no_grad():
        model.get_parameter("0.weight").copy_(new)
        model.get_buffer("1.running_mean").fill_(1)
    assert torch.equal(found, model(images))


def test_derivatives_count_every_place() -> None:
    model, images = _shared().double(), torch.rand(2, 3, dtype=torch.float64)

    def total(weight: Tensor) -> Tensor:
        return called_with(model, {"0.weight": weight}, images).sum()

    weight = model.get_parameter("0.weight").detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(total, weight)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="head"):
        called_with(_shared(), {"head.weight": torch.zeros(3, 3)}, torch.rand(2, 3))
