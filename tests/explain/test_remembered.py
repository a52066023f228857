from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from gradscape.explain.explainable import called_by
from gradscape.explain.remembered import identity_of, remembered

_column = 1


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def _counted() -> tuple[list[int], Callable[[], int]]:
    calls: list[int] = []

    def find() -> int:
        calls.append(1)
        return len(calls)

    return calls, find


def test_it_is_looked_for_once_for_a_model_and_a_key() -> None:
    net, (calls, find) = _net(), _counted()
    assert [remembered(net, "a", find), remembered(net, "a", find), remembered(net, "b", find)] == [1, 1, 2]
    remembered(_net(), "a", find)
    assert len(calls) == 3


def test_it_is_looked_for_each_time_without_a_key() -> None:
    net, (calls, find) = _net(), _counted()
    for _ in range(2):
        remembered(net, None, find)
    assert len(calls) == 2


def test_a_replaced_module_or_another_option_makes_it_be_looked_for_again() -> None:
    net: Any = _net()
    calls, find = _counted()
    remembered(net, "a", find)
    net[1] = nn.ReLU()
    remembered(net, "a", find)
    net.append(nn.Identity())
    remembered(net, "a", find)
    net[1].inplace = True
    remembered(net, "a", find)
    assert len(calls) == 4
    net.train()
    with torch.no_grad():
        next(net.parameters()).zero_()
    remembered(net, "a", find)
    assert len(calls) == 4


class _Counting(nn.Module):
    """Counts its passes, and keeps from the first on how many images it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.passes = 2.0, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        self.count = len(images)
        return images * self.scale


def test_what_a_forward_pass_sets_itself_lets_nothing_be_forgotten() -> None:
    net, (calls, find) = _Counting(), _counted()

    def outer() -> int:
        net(torch.ones(3))
        return remembered(net, "inner", lambda: find() + len(net(torch.ones(4))))

    for _ in range(3):
        remembered(net, "outer", outer)
        remembered(net, "inner", find)
        net(torch.ones(5))
    assert len(calls) == 1
    net.scale = 3.0
    remembered(net, "inner", find)
    assert len(calls) == 2


def _scores(index: Any) -> Callable[[Any], Any]:
    return lambda output: output[:, index]


def test_functions_that_read_the_same_are_one() -> None:
    assert identity_of(_scores(1)) == identity_of(_scores(1)) != identity_of(_scores(2))
    assert identity_of(_scores([1, 2])) != identity_of(_scores([1, 3]))
    assert identity_of(_scores(torch.arange(3))) != identity_of(_scores(torch.arange(3) + 1))
    assert identity_of(lambda output: output[0]) != identity_of(lambda output: output[1])
    assert identity_of(None) is not None


def test_a_function_that_reads_another_global_is_another(monkeypatch: Any) -> None:
    def score(output: Any) -> Any:
        return output[:, _column]

    before = identity_of(score)
    monkeypatch.setitem(globals(), "_column", 2)
    assert identity_of(score) != before


def test_what_can_change_unseen_has_no_identity() -> None:
    class Score:
        def __call__(self, output: Any) -> Any:
            return output

    assert identity_of(Score()) is None
    assert identity_of(partial(_scores, Score())) is None
    assert identity_of(Score().__call__) is None
    assert identity_of(_scores(Score())) is None


def test_partial_functions_methods_and_numpys_numbers_are_what_they_are_made_of() -> None:
    assert identity_of(partial(_scores, index=1)) == identity_of(partial(_scores, index=1)) is not None
    assert len({identity_of(partial(_scores, one)) for one in (1, 2)} | {identity_of(partial(_scores, index=1))}) == 3
    assert identity_of(_scores(np.int64(1))) == identity_of(_scores(np.int64(1))) != identity_of(_scores(np.int64(2)))
    assert identity_of(_Mean.of) == identity_of(_Mean.of) is not None


class _Mean:
    @classmethod
    def of(cls, output: Any) -> Any:
        return output.mean(1)


def test_a_large_tensor_is_the_same_until_it_is_written_to_or_another_one() -> None:
    large = torch.zeros(20, 1000)
    before = identity_of(_scores(large))
    assert identity_of(_scores(large)) == before is not None
    large[3] = 1
    assert identity_of(_scores(large)) != before
    assert identity_of(_scores(large.clone())) != identity_of(_scores(large))


def test_a_function_that_reads_what_is_not_there_yet_has_no_identity() -> None:
    def score(output: Any) -> Any:
        return output[:, later]

    assert identity_of(score) is None
    later = 1
    assert identity_of(score) is not None


def test_it_is_remembered_by_which_function_the_model_is_called() -> None:
    net, (calls, find) = _net(), _counted()

    def called(number: int) -> nn.Module:
        return called_by(net, lambda model, images: model(images) * number)

    for number in (1, 1, 2, 2, 1):
        remembered(called(number), "a", find)
    assert len(calls) == 2
    remembered(net, "a", find)
    assert len(calls) == 3


def test_only_so_many_things_are_kept() -> None:
    net, (calls, find) = _net(), _counted()
    for number in (*range(200), 199, 0):
        remembered(net, number, find)
    assert len(calls) == 201
