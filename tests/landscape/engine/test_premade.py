"""Scripted, traced and exported modules have the surface of the network that they were made from."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import evaluate_surface, random_directions

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")

IMAGES = torch.randn(40, 2, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 3
AXIS = [-0.5, 0.0, 1.0]


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.Dropout(), nn.Flatten(), nn.Linear(12, 3))


def _surface(model: nn.Module) -> np.ndarray:
    return evaluate_surface(model, [(IMAGES, LABELS)], random_directions(model, seed=4), AXIS, [0.0, 1.0]).loss


class _OneLength(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.reshape(40, 10))


def test_scripted_and_traced_modules_have_the_networks_surface() -> None:
    net = _network()
    expected = _surface(net)
    scripted = torch.jit.script(net)
    before = {name: tensor.clone() for name, tensor in scripted.state_dict().items()}
    for model in (
        scripted,
        torch.jit.trace(net.eval(), IMAGES),
        nn.Sequential(OrderedDict(module=torch.jit.script(net))),
    ):
        np.testing.assert_allclose(_surface(model), expected, rtol=1e-5)
    assert scripted.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in scripted.state_dict().items())


def test_a_trace_of_one_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`model` must take any number of images.*does not take"):
        _surface(torch.jit.trace(_OneLength(nn.Linear(10, 3)), IMAGES))


@pytest.mark.slow  # torch.export takes seconds
def test_exported_modules_have_the_networks_surface_if_they_take_any_length() -> None:
    net = _network().eval()
    shapes = ({0: torch.export.Dim("images", min=2)},)
    exported = torch.export.export(net, (IMAGES,), dynamic_shapes=shapes).module()
    np.testing.assert_allclose(_surface(exported), _surface(net), rtol=1e-5)
    with pytest.raises(ValueError, match="or export it with a dynamic number"):
        _surface(torch.export.export(net, (IMAGES,)).module())
