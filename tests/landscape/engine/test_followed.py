"""Outputs follow the weights, or the module that does not is named; each against a plain loop."""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import evaluate_surface, random_directions
from gradscape.landscape.engine.blocks import cut_blocks
from gradscape.landscape.engine.followed import check_followed, needs_refreshing

IMAGES = torch.randn(48, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(48) % 3


class _Biased(nn.Linear):
    """Adds a gathered table to its output."""

    def __init__(self) -> None:
        super().__init__(6, 5)
        self.table = nn.Parameter(torch.randn(2, 5))
        self.cache: dict[str, Tensor] = {}

    def gathered(self) -> Tensor:
        return self.table[torch.tensor([0, 1, 1, 0])].view(2, 2, 5).sum(0)

    def forward(self, input: Tensor) -> Tensor:
        if self.training:
            table = self.gathered()
        else:
            if "table" not in self.cache:
                self.cache["table"] = self.gathered()
            table = self.cache["table"]
        return super().forward(input) + table.prod(dim=0)


class _Cleared(_Biased):
    """Forgets its cache in training only, as timm's LeViT does."""

    def train(self, mode: bool = True) -> Self:
        self.cache = {} if mode else self.cache
        return super().train(mode)


class _Eager(_Biased):
    """Makes its cache in `eval()`, as TinyViT does."""

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.cache = {} if mode else {"table": self.gathered()}
        return self


class _Folding(nn.Linear):
    """Replaces its weight by a merged one in `eval()`, in other memory."""

    def __init__(self) -> None:
        super().__init__(6, 5)
        self.low, self.high = nn.Parameter(torch.randn(6, 2)), nn.Parameter(torch.randn(5, 2))
        self.merged = False

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.merged == mode:
            sign = -1 if mode else 1
            self.weight.data = self.weight.data + sign * (self.high @ self.low.T).detach()
            self.merged = not mode
        return self

    def forward(self, input: Tensor) -> Tensor:
        output = super().forward(input)
        return output if self.merged else output + input @ self.low @ self.high.T


class _Innocent(nn.Linear):
    """Has a `train()` of its own that freezes what it holds."""

    def train(self, mode: bool = True) -> Self:
        return super().train(mode and self.bias is None)


class _Hidden(nn.Linear):
    """Keeps a copy where nobody looks."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.copies = _Copies()

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.copies.first(self.weight), self.bias)


class _Copies:
    """Keeps what it is asked for first."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []

    def first(self, tensor: Tensor) -> Tensor:
        self.kept = self.kept or [tensor.clone()]
        return self.kept[0]


class _Fused(nn.Module):
    """Two layers whose weights are stacked once; the layers themselves never run."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(6, 2), nn.Linear(6, 3)
        self.stacked: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        if self.stacked is None:
            self.stacked = torch.cat([self.query.weight, self.key.weight])
        return input @ self.stacked.T


class _ManyHeads(nn.Module):
    """Heads that are not run or not used, a token that is not used, and a constant beside."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 5), nn.Linear(5, 3)
        self.dropped, self.auxiliary = nn.Linear(5, 3), nn.Linear(5, 3)
        self.used, self.mask = nn.Parameter(torch.randn(1, 5)), nn.Parameter(torch.randn(1, 5))
        self.scale = torch.full((1, 5), 2.0)

    def forward(self, input: Tensor) -> Tensor:
        features = self.scale * self.body(input) + self.used
        self.dropped(features)
        return self.auxiliary(features) if self.training else self.head(features)


def _surfaces(net: nn.Module, steps: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """The surface of a network, and what a plain loop finds that makes it anew at every point."""
    axis = np.linspace(-1, 1, steps)
    net.train()
    directions = random_directions(net, seed=0, **options)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    losses = evaluate_surface(net, [(IMAGES, LABELS)], directions, axis, axis).loss
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    truth = np.empty_like(losses)
    parameters = dict(net.named_parameters())
    for row, beta in enumerate(axis):
        for column, alpha in enumerate(axis):
            net.train()
            for name, parameter in parameters.items():
                parameter.data.copy_(before[name] + alpha * directions[0][name] + beta * directions[1][name])
            truth[row, column] = F.cross_entropy(net.eval()(IMAGES), LABELS).item()
    return losses, truth


@pytest.mark.parametrize("steps", [3, 15])  # the module itself, and a graph where it may be trusted
@pytest.mark.parametrize("layer", [_Cleared, _Eager, _Folding])
def test_what_eval_merges_or_caches_follows(layer: Callable[[], nn.Module], steps: int) -> None:
    torch.manual_seed(0)
    losses, truth = _surfaces(nn.Sequential(layer(), nn.Linear(5, 3)), steps)
    assert np.ptp(truth) > 0.1
    np.testing.assert_allclose(losses, truth, rtol=1e-5)


def test_unused_heads_and_tokens_are_no_reason_to_refuse() -> None:
    losses, truth = _surfaces(_ManyHeads(), 3)
    np.testing.assert_allclose(losses, truth, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "silent"),
    [(_Biased, "0.table"), (lambda: _Hidden(6, 5), "0.weight"), (_Fused, "0.key.weight")],
)
def test_one_module_that_does_not_follow_is_named(layer: Callable[[], nn.Module], silent: str) -> None:
    net = nn.Sequential(layer(), nn.Linear(5, 5), nn.Linear(5, 3))
    net.eval()(IMAGES)
    with pytest.raises(ValueError, match=f"but 0 gives the same output while {silent}"):
        _surfaces(net, 3)
    losses, _ = _surfaces(net, 3, parameters="!0.*")
    assert np.ptp(losses) > 0.01


def test_an_output_that_stays_the_same_is_refused() -> None:
    other = nn.Linear(6, 3)
    net = nn.Linear(6, 3)
    with pytest.raises(ValueError, match=r"stays the same to the bit while weight moved.*call another network"):
        evaluate_surface(
            net,
            [(IMAGES, LABELS)],
            random_directions(net, seed=0),
            [0.0, 1.0],
            [0.0, 1.0],
            forward=lambda _, images: other(images),
        )
    with pytest.raises(ValueError, match=r"while auxiliary\.weight moved"):
        _surfaces(_ManyHeads(), 3, parameters="auxiliary*")


def test_a_train_that_changes_no_weights_may_be_traced() -> None:
    net = nn.Sequential(_Innocent(6, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        directions = random_directions(net, seed=0)
        assert not needs_refreshing(net.eval(), directions, IMAGES, lambda model, images: model(images))


def test_a_network_whose_last_layer_is_zero_is_flat_indeed() -> None:
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    for layer in (net[2], net[4]):
        nn.init.zeros_(layer.get_parameter("weight"))
        nn.init.zeros_(layer.get_parameter("bias"))
    losses, truth = _surfaces(net, 3)
    np.testing.assert_allclose(losses, truth, rtol=1e-6)


@dataclass
class _Answer:
    """An output that torch's own trees take for a leaf."""

    logits: Tensor


class _Answering(nn.Sequential):
    """Gives its output in a container."""

    def __init__(self, answer: Callable[[Tensor], Any], *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.answer = answer

    def forward(self, input: Tensor) -> Any:
        return self.answer(super().forward(input))


@pytest.mark.parametrize("answer", [_Answer, lambda logits: UserDict(logits=logits)])
def test_outputs_of_any_container_have_to_follow(answer: Callable[[Tensor], Any]) -> None:
    net = _Answering(answer, _Hidden(6, 3)).eval()
    net(IMAGES)
    directions = random_directions(net, seed=0, parameters="0.weight")
    with pytest.raises(ValueError, match=r"stays the same to the bit while 0\.weight moved"):
        evaluate_surface(net, [(IMAGES, LABELS)], directions, [0.0, 1.0], [0.0, 1.0])


def test_where_nothing_is_detected_nothing_can_move() -> None:
    net = nn.Linear(6, 3).eval()
    directions = random_directions(net, seed=0)
    block = next(cut_blocks([(IMAGES, LABELS)], 48))
    check_followed(net, directions, block, lambda model, images: [model(image)[:0] for image in images])


def test_a_direction_too_short_to_be_seen_is_no_reason_to_refuse() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    directions = random_directions(net, seed=0)
    short = [{name: 1e-12 * change if name[0] == "0" else change for name, change in one.items()} for one in directions]
    surface = evaluate_surface(net, [(IMAGES, LABELS)], short, [-1.0, 0.5], [0.0, 1.0])
    assert np.ptp(surface.loss) > 0.01


class _Noise(nn.Module):
    """Noise of a learned size for each feature, in training."""

    def __init__(self) -> None:
        super().__init__()
        self.size = nn.Parameter(torch.rand(5))

    def forward(self, input: Tensor) -> Tensor:
        return input + self.size * torch.randn_like(input) if self.training else input


def test_a_lone_vector_that_only_training_uses_is_no_reason_to_refuse() -> None:
    net = nn.Sequential(nn.Linear(6, 5), _Noise(), nn.Linear(5, 3))
    losses, truth = _surfaces(net, 3, ignore="none")
    np.testing.assert_allclose(losses, truth, rtol=1e-5)
