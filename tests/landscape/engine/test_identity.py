import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape.engine.identity import function_identity, same_identity
from gradscape.landscape.engine.task import cross_entropy, top1
from tests.landscape.networks import small_net


class _Focal:
    """A loss with a setting, and with what it keeps of its calls."""

    def __init__(self, gamma: float) -> None:
        self.gamma, self.began, self.network = gamma, torch.rand(()).item(), None

    def __call__(self, output: Tensor, labels: Tensor) -> Tensor:
        return self.weigh(F.cross_entropy(output, labels, reduction="none"))

    def weigh(self, losses: Tensor) -> Tensor:
        return (1 - torch.exp(-losses)) ** self.gamma * losses


class _Margin(nn.Module):
    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, output: Tensor, labels: Tensor) -> Tensor:
        return (output[:, 0] - self.margin).relu()


def _by_table(table: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda output, labels: output[:, 0] * float(table[2500])


def _by_network(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda output, labels: output[:, 0] + network(output)[:, 0]


def _table(value: float) -> Tensor:
    table = torch.ones(5000)
    table[2500] = value
    return table


DIFFERENT: dict[str, Callable[[float], Callable[..., Any]]] = {
    "weights of classes": lambda x: nn.CrossEntropyLoss(weight=torch.tensor([1.0, x]), reduction="none"),
    "a setting of torch's": lambda x: nn.CrossEntropyLoss(label_smoothing=x / 10, reduction="none"),
    "a module's own setting": _Margin,
    "an object": _Focal,
    "a method": lambda x: _Focal(x).weigh,
    "a big tensor": lambda x: _by_table(_table(x)),
    "a big array": lambda x: _by_table(_table(x).numpy()),
    "a network": lambda x: _by_network(small_net(seed=int(x))),
    "a partial": lambda x: partial(F.huber_loss, delta=x, reduction="none"),
    "a default": lambda x: lambda output, labels, factor=x: factor * output[:, 0],
    "an expression": lambda x: (lambda o, _: o[:, 0]) if x == 1 else (lambda o, _: o[:, 1]),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_functions_are_told_apart_by_all_that_they_name(kind: str) -> None:
    one, again, other = (function_identity(DIFFERENT[kind](x)) for x in (1.0, 1.0, 2.0))
    assert one == again
    assert one != other
    assert one.split("@")[0] == other.split("@")[0]


def _module(path: Path, text: str) -> ModuleType:
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("losses_of_a_user", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LOSS = "import numpy as np\nSCALE = {scale}\nUNUSED = {unused}\n{space}def inner(x):\n    return x{sign}SCALE\n"
LOSS += "loss = lambda output, labels: np.abs(inner(output))[:, 0]\n"


def test_a_function_may_stand_elsewhere_in_its_file_but_not_read_other_globals(tmp_path: Path) -> None:
    usual = {"scale": 2.0, "unused": 1, "space": "", "sign": "*"}
    changes: list[dict[str, Any]] = [{}, {"space": "\n\n"}, {"unused": 2}, {"scale": 3.0}, {"sign": "+"}]
    found = [
        function_identity(_module(tmp_path / f"{number}.py", LOSS.format(**usual | change)).loss)
        for number, change in enumerate(changes)
    ]
    assert [name == found[0] for name in found] == [True, True, True, False, False]


def test_functions_of_libraries_have_plain_stable_names() -> None:
    assert (function_identity(cross_entropy), function_identity(top1)) == ("gradscape.cross_entropy", "gradscape.top1")
    assert function_identity(None) == "none"
    assert function_identity(np.abs) == function_identity(np.abs)
    assert "0x" not in function_identity(F.mse_loss)


def test_values_that_hold_each_other_and_values_of_any_kind_are_named() -> None:
    ring: list[Any] = [slice(1, 2), object(), {1, 2}, torch.ones(2).to_sparse(), np.array([object()]), int]
    ring.append(ring)
    assert function_identity(_by_table(ring)) == function_identity(_by_table(ring))


@pytest.mark.parametrize(
    ("stored", "now", "same"),
    [
        ("losses.focal#0a1b2c3d", "losses.focal@12345678", True),
        (
            "torch.nn.modules.loss.CrossEntropyLoss(CrossEntropyLoss())",
            "torch.nn.modules.loss.CrossEntropyLoss@0",
            True,
        ),
        ("partial(losses.focal, (), {'gamma': 2})", "functools.partial@12345678", True),
        ("losses.focal#0a1b2c3d", "losses.hinge@12345678", False),
        ("gradscape.cross_entropy", "losses.cross_entropy@12345678", False),
        ("losses.focal@0a1b2c3d", "losses.focal@12345678", False),
        ("gradscape.cross_entropy", "gradscape.top1", False),
        ("gradscape.cross_entropy", "gradscape.cross_entropy", True),
        (None, "losses.focal@12345678", False),
    ],
)
def test_names_of_the_first_version_count_by_the_function_alone(stored: str | None, now: str, same: bool) -> None:
    assert same_identity(stored, now) == same
