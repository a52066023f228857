"""The guard of public functions, where their own context managers are cut off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from gradscape._left_as_before import left_as_before, process_left_as_before


class _CutOff:
    """Changes something as it is entered; Ctrl-C comes before it can put it back."""

    def __init__(self, change: Callable[[], object]) -> None:
        self.change = change

    def __enter__(self) -> None:
        self.change()
        raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        raise AssertionError


class _Mode(TorchFunctionMode):
    pass


def _net() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


_CHANGES: dict[str, Callable[[Any], object]] = {
    "mode": lambda net: net.eval(),
    "hook": lambda net: net[0].register_forward_hook(print),
    "child": lambda net: net.append(nn.ReLU()),
    "storage": lambda net: setattr(net[0].weight, "data", torch.zeros(4, 3)),
    "gradient": lambda net: setattr(net[0].weight, "grad", torch.zeros(4, 3)),
    "frozen": lambda net: net.requires_grad_(False),
}


@pytest.mark.parametrize("name", _CHANGES)
@pytest.mark.parametrize("given", ["itself", "in a pair in a list", "by name"])
def test_a_model_is_as_before_wherever_it_was_given(name: str, given: str) -> None:
    net = _net()
    before = [
        (module.training, [*module._forward_hooks], [*module._modules], [p.data_ptr() for p in module.parameters()])
        for module in net.modules()
    ]

    @left_as_before
    def change(_given: Any) -> None:
        with _CutOff(lambda: _CHANGES[name](net)):
            pass

    with pytest.raises(KeyboardInterrupt):
        change({"itself": net, "in a pair in a list": [(net, ())], "by name": {"net": net}}[given])
    assert before == [
        (module.training, [*module._forward_hooks], [*module._modules], [p.data_ptr() for p in module.parameters()])
        for module in net.modules()
    ]
    assert all(one.requires_grad and one.grad is None for one in net.parameters())


def test_gradients_are_recorded_again_and_no_mode_watches_on() -> None:
    @left_as_before
    def change() -> None:
        torch.set_grad_enabled(False)
        _Mode().__enter__()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change()
    assert torch.is_grad_enabled()
    assert torch._C._len_torch_function_stack() == 0


def test_nothing_acts_later_over_what_was_done_since() -> None:
    net = _net()
    kept: list[BaseException] = []

    @contextmanager
    def restoring() -> Iterator[None]:
        value = net[0].weight.detach().clone()
        try:
            yield
        finally:
            net[0].weight.data.copy_(value)

    @left_as_before
    def change(_net: nn.Module) -> None:
        with _Leaving(restoring()):
            pass

    try:
        change(net)
    except KeyboardInterrupt as problem:  # as a notebook keeps it
        kept.append(problem)
    net[0].weight.data.zero_()
    kept.clear()
    assert not net[0].weight.any()


class _Leaving:
    """A context manager whose end is cut off as it begins."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def __enter__(self) -> None:
        self.context.__enter__()

    def __exit__(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_what_training_changes_stays_and_the_process_is_as_before() -> None:
    net, threads = _net(), torch.get_num_threads()

    @process_left_as_before
    def train(net: Any) -> None:
        net[0].weight.data = torch.zeros(4, 3)
        torch.set_num_threads(threads + 1)
        torch.set_default_dtype(torch.float64)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net)
    assert not net[0].weight.any()
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == torch.float32


def test_a_setting_that_cannot_be_put_back_is_told_once_and_the_model_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, threads, set_threads = _net(), torch.get_num_threads(), torch.set_num_threads

    def refuse(_threads: int) -> None:
        raise RuntimeError("not now")

    @left_as_before
    def change(net: Any) -> None:
        set_threads(threads + 1)
        net[0].weight.requires_grad_(False)
        raise ValueError("no such layer")

    monkeypatch.setattr(torch, "set_num_threads", refuse)
    with pytest.raises(ValueError, match="no such layer") as problem:
        change(net)
    set_threads(threads)
    assert net[0].weight.requires_grad
    assert problem.value.__notes__ == ["not everything could be put back: RuntimeError: not now"]
