"""Lightning's Trainer without its side effects: what it changes is as before on return, and it keeps quiet."""

import io
import logging
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from torch import nn
from torch.utils import deterministic

from gradscape._files import replacing
from gradscape._journal import undone
from gradscape._process_state import RandomStates

__all__ = ["AtomicFiles", "in_training_mode", "isolated_trainer", "quiet_trainer"]

_CHATTY = ("lightning.pytorch", "lightning.fabric")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@final
class AtomicFiles(TorchCheckpointIO):
    """Lightning's state files, replaced all at once: its own writer may copy from one file system to another."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a state file."""
        content = io.BytesIO()  # torch's own writer calls a full disk by another name
        torch.save(checkpoint, content)
        with replacing(path) as partial:
            partial.write_bytes(content.getbuffer())


def quiet_trainer(
    folder: Path,
    callbacks: Sequence[Callback],
    *,
    epochs: int,
    device: str,
    precision: str = "32-true",
) -> Trainer:
    """A Trainer that prints and writes nothing of its own accord; its state files are replaced all at once.

    Args:
        folder: Where Lightning may write.
        callbacks: What watches the training.
        epochs: How many.
        device: auto, or as torch names it: cpu, cuda, cuda:1, mps.
        precision: As Lightning's Trainer names it.

    Raises:
        ValueError: This machine has no such device, or it knows no such precision.
    """
    accelerator, _, index = device.partition(":")
    try:
        return Trainer(
            accelerator=accelerator,
            devices=[int(index)] if index else 1,
            precision=precision,  # type: ignore[arg-type]
            max_epochs=epochs,
            callbacks=list(callbacks),
            plugins=[AtomicFiles()],
            default_root_dir=folder,
            deterministic="warn",
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"`device` and `precision` must fit this machine, got {device}, {precision}: {reason}"
        ) from error


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
