"""Lightning's Trainer without its side effects: what it changes is as before on return, and it keeps quiet."""

import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils import deterministic

from gradscape._journal import undone
from gradscape._process_state import RandomStates

__all__ = ["in_training_mode", "isolated_trainer"]

_CHATTY = ("lightning.pytorch", "lightning.fabric")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def isolated_trainer() -> Iterator[None]:
    """Keep what a Trainer changes in the process to the block, and make its exit on Ctrl-C a KeyboardInterrupt again.

    Restored are the random states, the determinism switches, the handler of Ctrl-C and the loggers' levels.
    Hidden are Lightning's greetings and its advice on workers and devices; no other warnings.
    """
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    workspace, on_interrupt = os.environ.get(_WORKSPACE), signal.getsignal(signal.SIGINT)
    random_states = [RandomStates(device) for device in _devices()]

    def put_back() -> None:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)
        for one in random_states:
            one.restore()
        if threading.current_thread() is threading.main_thread():  # which alone may say what is called
            signal.signal(signal.SIGINT, on_interrupt)

    with undone(put_back), _determinism_restored(), warnings.catch_warnings():
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", message=".*available but not used")
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", module=r"lightning\.pytorch")
        try:
            yield
        except SystemExit as leaving:
            if isinstance(leaving.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


@contextmanager
def in_training_mode(network: nn.Module) -> Iterator[None]:
    """Train mode for every module; afterwards each is in its old mode, on the old device, without gradients."""
    modes = {module: module.training for module in network.modules()}
    device = next(network.parameters()).device

    def put_back() -> None:
        for module, training in modes.items():
            module.training = training
        network.to(device).zero_grad(set_to_none=True)

    with undone(put_back):
        network.train()
        yield


@contextmanager
def _determinism_restored() -> Iterator[None]:
    enabled, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills, searches = deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark  # type: ignore[attr-defined]

    def put_back() -> None:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = searches

    with undone(put_back):
        # Our sums need no NaN in fresh memory, which costs one more write of every activation.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield


def _devices() -> list[torch.device]:
    """All that torch draws random numbers on."""
    count = torch.cuda.device_count()
    return [torch.device("cuda", index) for index in range(count)] or [torch.device("cpu")]
