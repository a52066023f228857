"""The training of a curve's bend, for Lightning's Trainer."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from gradscape._refuge import save_or_keep
from gradscape._substitution import called_with
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import Task
from gradscape.landscape.paths.curve import Curve, shares_of_points

__all__ = ["FIT", "LOSSES", "BendTraining", "EpochBatches", "StateKeeper", "rate_share"]

FIT, LOSSES = "fit", "losses"
"""Entries of a curve: what defines its fit, and the mean loss of each epoch."""

_MOMENTUM = 0.9
_GOLDEN = (5**0.5 - 1) / 2
_EPOCHS, _STEPS, _PLACE = 0, 1, 2  # what random numbers are for
_GO_ON = "move it to {} and start the same again, which goes on from there"


@final
class BendTraining(LightningModule):
    """Lets the bend of a curve follow the gradient of E L(φ(t)), t uniform in [0, 1].

    Only the bend is trained: the network is called at the moved point, and neither its tensors nor its running
    statistics change. Each step has one t, by the golden ratio from a place that the seed chose: every one is uniform
    by itself, and those that follow each other are spread evenly, so that the means over a few steps vary less.

    Args:
        curve: Where it begins; its bend is copied.
        model: A network whose tensors have the curve's names, in `train()`; the caller puts it back.
        task: Gives the loss, and how the network is called.
        fit: `epochs`; `learning_rate` at the beginning (see `rate_share`); `weight_decay`, the factor λ of ½ λ ‖φ(t)‖²
            over the trained tensors; and the `seed` of everything random.
    """

    def __init__(
        self,
        curve: Curve,
        model: nn.Module,
        *,
        task: Task,
        fit: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._curve = curve
        self._called = [_JudgedNetwork(model, task)]  # in a list: its weights are none of this module's
        self._rate, self._decay = fit["learning_rate"], fit["weight_decay"]
        self._epochs, self._seed = fit["epochs"], fit["seed"]
        self._first_t = float(_generator(self._seed, _PLACE, 0).random())
        self._buffers_before = {name: one.detach().clone() for name, one in model.named_buffers()}
        self.bend = nn.ParameterList([tensor.detach().clone() for tensor in curve.bend.values()])
        self.losses: list[float] = []
        self._sums: list[Tensor] = []

    def result(self) -> Direction:
        """The bend as it is."""
        return {name: one.detach().clone() for name, one in zip(self._curve.bend, self.bend, strict=True)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD with momentum, as the paper has it."""
        return torch.optim.SGD(self.parameters(), self._rate, momentum=_MOMENTUM)

    def on_train_epoch_start(self) -> None:
        """Set the epoch's learning rate."""
        self._sums = []
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self._rate * rate_share(self.current_epoch / self._epochs)

    def close_epoch(self) -> None:
        """Keep the epoch's mean loss."""
        self.losses.append(float(torch.stack(self._sums).double().mean()) if self._sums else float("nan"))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The mean loss of a batch at one point of the curve."""
        inputs, labels = batch
        # What the network draws (dropout) follows from the seed and the step alone: a run that goes on is the same.
        torch.manual_seed(int(_generator(self._seed, _STEPS, self.global_step).integers(2**62)))
        tensors = self.tensors_at(self.t_at(self.global_step))
        loss = self.judged(tensors, inputs, labels).mean()
        if not torch.isfinite(loss):
            raise RuntimeError(
                f"the loss on the curve is {loss.item()} in epoch {self.current_epoch + 1}, step {batch_idx + 1}; try "
                f"a `learning_rate` below {self._rate:g}"
            )
        self._sums.append(loss.detach())
        if self._decay:
            trained = [tensors[name] for name in self._curve.bend]
            loss = loss + 0.5 * self._decay * sum(tensor.abs().square().sum() for tensor in trained)
        return loss

    def judged(self, tensors: Mapping[str, Tensor], inputs: Any, labels: Any) -> Tensor:
        """The loss of each image for a network that has these tensors, (N,)."""
        within = {f"model.{name}": one for name, one in tensors.items()}
        return called_with(self._called[0], within, inputs, labels)

    def t_at(self, step: int) -> float:
        """The point of the curve that a step of the whole run is about."""
        return (self._first_t + step * _GOLDEN) % 1.0

    def tensors_at(self, t: float) -> dict[str, Tensor]:
        """Everything that moves at t, with a gradient to the bend; other buffers as they were, to be written into."""
        bend = dict(zip(self._curve.bend, self.bend, strict=True))
        at_start, at_bend, at_end = shares_of_points(self._curve.kind, t)
        tensors = {name: one.clone() for name, one in self._buffers_before.items()}
        for name, start in self._curve.start.items():
            end = self._curve.end[name]
            if name in bend:
                tensors[name] = at_start * start + at_bend * bend[name] + at_end * end
            else:
                tensors[name] = start + t * (end - start)
        return tensors


@final
class _JudgedNetwork(nn.Module):
    """A network with the loss of what it gives, so that a loss may read weights or call it at the moved point too."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self._task = task

    def forward(self, inputs: Any, labels: Any) -> Tensor:
        return self._task.loss(self._task.forward(self.model, inputs), labels)


@final
class EpochBatches:
    """A user's batches, iterated once an epoch, with all that is random in them seeded by the epoch.

    Args:
        batches: Any iterable that can be iterated again; a loader that shuffles does so from these seeds.
        seed: Of the run.
        epoch: The first one that is asked for.
    """

    def __init__(self, batches: Iterable[Any], *, seed: int, epoch: int) -> None:
        self._batches, self._seed, self._epoch = batches, seed, epoch

    def __iter__(self) -> Iterator[Any]:
        chosen, self._epoch = int(_generator(self._seed, _EPOCHS, self._epoch).integers(2**32)), self._epoch + 1
        random.seed(chosen)
        np.random.seed(chosen)  # noqa: NPY002 - what users' data sets draw from
        torch.manual_seed(chosen)
        yield from self._batches

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]


@final
class StateKeeper(Callback):
    """Keeps the state to go on from, and reports.

    Args:
        training: What is trained.
        path: The state's file; None where none is wanted.
        fit: What defines it, kept in the state.
        report: Called with the epochs done and the mean loss of the last one.
        seconds: Time for all epochs: after the first, none begins that would end later if it took as long as the last.
    """

    def __init__(
        self,
        training: BendTraining,
        path: Path | None,
        *,
        fit: Mapping[str, Any],
        report: Callable[[int, float], None] | None,
        seconds: float | None = None,
    ) -> None:
        self._training, self._path, self._fit, self._report = training, path, fit, report
        self._until = None if seconds is None else time.monotonic() + seconds
        self._began = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the clock."""
        self._began = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the state of the epoch that has just ended."""
        self._training.close_epoch()  # Lightning asks the module after its callbacks
        if self._path is not None:
            save = partial(trainer.save_checkpoint, weights_only=False)  # Lightning means: with the optimizer
            save_or_keep(save, self._path, go_on=_GO_ON.format(self._path))
        if self._report is not None:
            self._report(len(self._training.losses), self._training.losses[-1])
        now = time.monotonic()
        if self._until is not None and now + (now - self._began) > self._until:
            trainer.should_stop = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the definition and history of the fit to Lightning's state."""
        checkpoint["gradscape"] = {FIT: dict(self._fit), LOSSES: list(self._training.losses)}


def rate_share(done: float) -> float:
    """Learning rate as a share of the first one: whole for half of the epochs, down to 1 % at nine tenths, then that.

    Args:
        done: Share of the epochs that are done.

    Source: the authors' code (timgaripov/dnn-mode-connectivity, `learning_rate_schedule`).
    """
    return float(np.interp(done, [0.5, 0.9], [1.0, 0.01]))


def _generator(seed: int, use: int, number: int) -> np.random.Generator:
    return np.random.default_rng((seed, use, number))
