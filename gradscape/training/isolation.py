"""Lightning's Trainer without its side effects: what it changes is as before on return, and it keeps quiet."""

import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils import deterministic

__all__ = ["in_training_mode", "isolated_trainer"]

_CHATTY = ("lightning.pytorch", "lightning.fabric")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def isolated_trainer() -> Iterator[None]:
    """Keep what a Trainer changes in the process to the block, and make its exit on Ctrl-C a KeyboardInterrupt again.

    Restored are torch's random state, the determinism switches, the handler of Ctrl-C and the loggers' levels.
    Hidden are Lightning's greetings and its advice on workers and devices; no other warnings.
    """
    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    workspace, on_interrupt = os.environ.get(_WORKSPACE), signal.getsignal(signal.SIGINT)
    try:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)
        devices = range(torch.cuda.device_count())
        with _determinism_restored(), torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers")
            warnings.filterwarnings("ignore", message=".*available but not used")
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec", module=r"lightning\.pytorch")
            yield
    except SystemExit as leaving:
        if isinstance(leaving.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if workspace is None:
            os.environ.pop(_WORKSPACE, None)
        if signal.getsignal(signal.SIGINT) is not on_interrupt:
            signal.signal(signal.SIGINT, on_interrupt)


@contextmanager
def in_training_mode(network: nn.Module) -> Iterator[None]:
    """Train mode for every module; afterwards each is in its old mode, on the old device, without gradients."""
    modes = {module: module.training for module in network.modules()}
    device = next(network.parameters()).device
    network.train()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
        network.to(device).zero_grad(set_to_none=True)


@contextmanager
def _determinism_restored() -> Iterator[None]:
    enabled, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills, searches = deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark  # type: ignore[attr-defined]
    # Our sums need no NaN in fresh memory, which costs one more write of every activation.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = searches
