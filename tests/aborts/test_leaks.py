"""Many calls of each public function take no more memory, descriptors, threads or figures than a few.

20 calls each, or as many as GRADSCAPE_LEAK_CALLS says: `make leaks` takes 300, which also shows what leaks slowly.
"""

import gc
import logging
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from tests.aborts.calls import CALLS
from tests.aborts.networks import make_network
from tests.aborts.trip import Trip

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("unchecked")]

_CALLS, _WARM = int(os.environ.get("GRADSCAPE_LEAK_CALLS", "20")), 10
_MOST_BYTES = 24 * 2**20  # the allocator's own waste; a network and its activations, kept at every call, are 40 MiB
_LONG: dict[str, int] = {"searched span": 3, "settled axes": 3}
_LONG |= dict.fromkeys(("span", "surface, traced", "surface, side by side"), 10)
_LONG |= dict.fromkeys(("curve", "spectrum", "density", "trace", "aligned", "sharpness", "curvature map"), 5)
_PAGE = os.sysconf("SC_PAGE_SIZE")


def _held() -> dict[str, int]:
    gc.collect()
    figures = sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else []
    return {
        "bytes": int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE,
        # torch's own tracer keeps a tensor without a memory of every graph that it has made.
        "tensors": sum(isinstance(one, torch.Tensor) and not isinstance(one, FakeTensor) for one in gc.get_objects()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "figures": len(figures),
    }


@pytest.mark.parametrize("call", CALLS)
def test_calls_leave_nothing_behind(call: str) -> None:
    count = min(_LONG.get(call, _CALLS), _CALLS)
    trip = Trip()
    model = make_network("caching", trip)
    for module in model.modules():
        if "history" in vars(module):
            vars(module)["history"] = _Nothing()  # else the network itself would keep what it gave
    logging.disable(logging.WARNING)
    try:
        for _ in range(min(_WARM, count)):
            _run(call, model, trip)
        before = _held()
        for _ in range(count):
            _run(call, model, trip)
        after = _held()
    finally:
        logging.disable(logging.NOTSET)
    assert after["bytes"] - before["bytes"] < _MOST_BYTES
    assert {name: after[name] - before[name] for name in ("tensors", "descriptors", "threads", "figures")} == {
        "tensors": 0,
        "descriptors": 0,
        "threads": 0,
        "figures": 0,
    }


def _run(call: str, model: nn.Module, trip: Trip) -> None:
    with suppress(
        ValueError
    ):  # a call that is refused, since a counter of this network moves nothing, leaves nothing too
        CALLS[call].run(model, trip)


class _Nothing(list[torch.Tensor]):
    """Takes everything and keeps nothing."""

    def append(self, _one: torch.Tensor) -> None:
        return
