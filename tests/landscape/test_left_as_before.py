"""What an evaluation leaves behind: a model and a process as they were, also after an exception."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import Surface, evaluate_surface, random_directions
from tests.landscape.networks import images_and_labels, small_net

pytestmark = pytest.mark.usefixtures("form")

ALPHAS, BETAS = np.linspace(-1, 0.4, 4), np.linspace(-0.25, 2, 3)


class _Snapshot:
    """Everything about a model and the process that must be as before."""

    def __init__(self, model: nn.Module) -> None:
        self.tensors = {name: (id(t), t.data_ptr(), t.clone()) for name, t in self._named(model)}
        self.modes = [module.training for module in model.modules()]
        self.gradients = {name: (p.requires_grad, p.grad) for name, p in model.named_parameters()}
        self.hooks = [len(module._forward_hooks) for module in model.modules()]
        self.random = torch.get_rng_state(), np.random.get_state(legacy=True)[1].copy()  # type: ignore[index]  # noqa: NPY002

    @staticmethod
    def _named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
        yield from model.named_parameters()
        yield from model.named_buffers()

    def assert_same(self, other: "_Snapshot") -> None:
        assert self.tensors.keys() == other.tensors.keys()
        for name, (identity, pointer, values) in self.tensors.items():
            assert other.tensors[name][:2] == (identity, pointer)
            torch.testing.assert_close(values, other.tensors[name][2], rtol=0, atol=0, equal_nan=True)
        assert (self.modes, self.gradients, self.hooks) == (other.modes, other.gradients, other.hooks)
        assert torch.equal(self.random[0], other.random[0])
        assert (self.random[1] == other.random[1]).all()


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_the_process_are_as_before(fails: bool) -> None:
    net = small_net().train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[7].weight.grad = torch.ones(5, 4)
    before, calls = _Snapshot(net), []

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        calls.append(1)
        if fails and len(calls) > 6:
            raise ArithmeticError
        return F.cross_entropy(output, labels, reduction="none")

    def run() -> Surface:
        directions = random_directions(net, seed=0, space="states", ignore="none")
        return evaluate_surface(net, [images_and_labels()], directions, ALPHAS, BETAS, loss=loss)

    if fails:
        with pytest.raises(ArithmeticError):
            run()
    else:
        run()
    before.assert_same(_Snapshot(net))


def test_buffers_that_forward_makes_or_changes_are_as_before() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_net()
            self.register_buffer("calls", torch.zeros(1).expand(3))
            self.register_buffer("last", None)

        def forward(self, images: Tensor) -> Tensor:
            self.calls = self.get_buffer("calls") + 1
            self.last = images
            return self.net(images)

    model = Counting()
    evaluate_surface(model, [images_and_labels()], random_directions(model, seed=0), ALPHAS, BETAS)
    assert model.last is None
    assert model.calls.tolist() == [0, 0, 0]
