"""What a model derives, merges or caches is as before."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import prune, spectral_norm, weight_norm

from gradscape._model_state import changes_with_mode, plain_tensors, unchanged

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of old ways that networks are still made in


class _Reparameterized(nn.Module):
    """Two branches that `eval()` adds up into one convolution of its own, as RepVGG's deployment does."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)

    def train(self, mode: bool = True) -> "_Reparameterized":
        super().train(mode)
        if mode:
            self._modules.pop("sum", None)
        elif "sum" not in self._modules:
            self.sum = copy.deepcopy(self.wide)
            self.sum.weight.data += F.pad(self.narrow.weight.data, (1, 1, 1, 1))
            self.wide.weight.data *= 0.5  # what a merge in place does
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.wide(images) + self.narrow(images) if self.training else self.sum(images)


class _Scaled(nn.Linear):
    """Derives a plain attribute from its weight by a hook, and keeps a number beside."""

    def __init__(self) -> None:
        super().__init__(6, 4)
        self.size: int | None = None
        self.register_forward_pre_hook(self._derive)

    def _derive(self, module: nn.Module, given: Any) -> None:
        self.scaled, self.size = self.weight / self.weight.norm(), len(given[0])

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.scaled)


class _Counting(nn.Identity):
    """Counts its calls."""

    calls = 0

    def forward(self, input: Tensor) -> Tensor:
        self.calls += 1
        return input


def _bits(module: nn.Module) -> dict[str, Tensor]:
    derived = {f"plain {name}": one for part in module.modules() for name, one in plain_tensors(part).items()}
    return {name: one.detach().clone() for name, one in (*module.state_dict().items(), *derived.items())}


def _same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weights_of_weight_norm_are_as_before(dim: int | None) -> None:
    layer = weight_norm(nn.Linear(6, 4), dim=dim)  # type: ignore[arg-type]
    before = _bits(layer)
    with unchanged(layer), torch.no_grad():
        parameter = layer.get_parameter("weight_v")
        storage = parameter.data
        parameter.data = storage + 1
        layer(torch.randn(2, 6))
        parameter.data = storage
    assert "plain weight" in before
    assert _same_bits(_bits(layer), before)


def test_several_derived_weights_are_as_before() -> None:
    net = nn.Sequential(spectral_norm(nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(144, 5)).train()
    prune.random_unstructured(net[2], "weight", 0.5)
    prune.l1_unstructured(net[2], "bias", 1)
    before = _bits(net)
    with unchanged(net), torch.no_grad():
        net.double()(torch.randn(2, 3, 8, 8).double())
        net.float()
    assert _same_bits(_bits(net), before)


def test_attributes_beside_a_derived_tensor_go_with_it_and_all_others_stay() -> None:
    layer, other = _Scaled(), _Counting()
    with unchanged(layer, parameters=True), unchanged(other, parameters=True):
        layer(torch.randn(3, 6))
        other(torch.randn(3, 6))
    assert not plain_tensors(layer)
    assert layer.size is None
    assert other.calls == 1


def test_caches_in_containers_are_emptied_again() -> None:
    net = nn.Identity()
    cache, history = {"small": torch.ones(2)}, [torch.zeros(2)]
    vars(net).update(cache=cache, history=history)
    with unchanged(net):
        cache["large"] = torch.ones(5)
        cache["small"] += 1
        vars(net)["history"] = []
        history.append(torch.ones(3))
    assert vars(net)["cache"] is cache
    assert vars(net)["history"] is history
    assert list(cache) == ["small"]
    assert torch.equal(cache["small"], torch.ones(2))
    assert len(history) == 1


@pytest.mark.parametrize("training", [True, False])
def test_what_train_merges_is_taken_out_again_to_the_bit(training: bool) -> None:
    net = nn.Sequential(_Reparameterized(), nn.Dropout()).train(training)
    net[1].train(not training)
    before, names = _bits(net), [name for name, _ in net.named_modules()]
    with unchanged(net):
        net.eval()
        net.train()
        net.eval()
    assert _same_bits(_bits(net), before)
    assert [name for name, _ in net.named_modules()] == names
    assert [module.training for module in net] == [training, not training]


def test_a_train_of_a_class_s_own_is_seen() -> None:
    assert changes_with_mode(nn.Sequential(_Reparameterized()))
    assert not changes_with_mode(nn.Sequential(nn.BatchNorm2d(3), nn.Dropout()))


def test_buffers_of_scripted_modules_are_as_before() -> None:
    net = torch.jit.script(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)))
    before = _bits(net)
    with unchanged(net):
        net.train()
        net(torch.randn(5, 3))
        net.eval()
    assert net.training
    assert _same_bits(_bits(net), before)


def test_values_of_parameters_are_as_before_on_request() -> None:
    embedding = nn.Embedding(7, 3, max_norm=0.1)  # which rescales its rows in place
    before = _bits(embedding)
    with unchanged(embedding, parameters=True):
        embedding(torch.arange(4))
    assert _same_bits(_bits(embedding), before)


class _Remembering(nn.Module):
    """Keeps what it gave last, as many a stranger's network does for debugging."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        self.last = self.linear(inputs)
        return self.last


def test_what_a_forward_pass_leaves_stays_unless_it_may_be_of_moved_weights() -> None:
    model, inputs = _Remembering().eval(), torch.randn(4, 3)
    with unchanged(model, parameters=True), torch.no_grad():
        model.linear.weight.add_(1)
        model(inputs)
    assert not hasattr(model, "last")
    with unchanged(model), torch.no_grad():
        expected = model(inputs)
    assert torch.equal(model.last, expected)


class _Graph(nn.Linear):
    """Multiplies by a sparse adjacency, and knows its transpose as a buffer."""

    def __init__(self) -> None:
        super().__init__(6, 4)
        self.adjacency = torch.eye(5).to_sparse_csr()
        self.register_buffer("transpose", torch.eye(5).roll(1, dims=0).to_sparse())

    def forward(self, input: Tensor) -> Tensor:
        return self.get_buffer("transpose") @ (self.adjacency @ super().forward(input))


@pytest.mark.filterwarnings("ignore:Sparse:UserWarning")
def test_sparse_tensors_stay_and_gradients_come_back() -> None:
    net = _Graph()
    net(torch.randn(5, 6)).sum().backward()
    adjacency, gradients = net.adjacency, [parameter.grad for parameter in net.parameters()]
    with unchanged(net):
        net(torch.randn(5, 6))
    assert net.adjacency is adjacency
    assert all(parameter.grad is before for parameter, before in zip(net.parameters(), gradients, strict=True))


class _Breaking(nn.Linear):
    """Cannot go back to training."""

    def train(self, mode: bool = True) -> "_Breaking":
        if mode:
            raise RuntimeError("merged for good")
        super().train(mode)
        return self


def test_gradients_come_back_where_the_rest_cannot() -> None:
    net = _Breaking(6, 4)
    net(torch.randn(2, 6)).sum().backward()
    gradient = net.weight.grad
    with pytest.raises(RuntimeError, match="merged for good"), unchanged(net):
        net.eval()
    assert net.weight.grad is gradient
