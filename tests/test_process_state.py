"""Global settings are put back, whatever has changed them."""

import random
import signal
import sys
import warnings
from collections.abc import Callable
from io import StringIO

import numpy as np
import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from gradscape._process_state import ProcessState
from tests.aborts.snapshot import differences, process_state


def _nested_autocast() -> None:
    torch.autocast("cpu", torch.float16, cache_enabled=False).__enter__()


pytestmark = pytest.mark.usefixtures("unchecked")  # which draws random numbers

_CHANGES: dict[str, Callable[[], object]] = {
    "random": random.random,
    "numpy": lambda: np.random.rand(),  # noqa: NPY002
    "torch": lambda: torch.rand(1),
    "grad": lambda: torch.set_grad_enabled(False),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "determinism": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "saving": lambda: saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor).__enter__(),
    "attention": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "autocast": _nested_autocast,
    "anomalies": lambda: torch._C.set_anomaly_enabled(True, False),
    "warnings": lambda: warnings.simplefilter("ignore"),
    "streams": lambda: setattr(sys, "stderr", StringIO()),
    "numpy errors": lambda: np.seterr(divide="ignore"),
    "signals": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
}


@pytest.mark.parametrize("name", _CHANGES)
def test_a_setting_is_put_back(name: str) -> None:
    before, state = process_state(), ProcessState()
    _CHANGES[name]()
    assert name in differences(before, process_state())
    state.restore()
    state.restore()  # and a second time it is left alone
    assert differences(before, process_state()) == []
