"""What an epoch leaves on disk: weights, metrics, and the state to go on from."""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from gradscape._files import replacing
from gradscape._refuge import save_or_keep
from gradscape.training.history import EpochRow, EpochRows, save_metrics
from gradscape.training.kept import KeepEvery, remove_kept
from gradscape.training.run_files import BEST, LAST, METRICS, STATE
from gradscape.training.supervised import SupervisedTraining

__all__ = ["Recorder", "Save", "best_epoch", "gave_up"]

Save = Callable[[Path, nn.Module, EpochRow], object]

_GO_ON = "what it holds belongs into {}, and the same training then goes on from there"
_log = logging.getLogger(__name__)


class Recorder(Callback):
    """Writes every epoch's files, the state last.

    So the state never knows of an epoch whose files are missing, whenever a run is killed: an epoch that is not in
    the state is done again, and writes the same files again.

    Args:
        folder: Where the files go.
        module: The network in training.
        save: Called as save(path, network, scores) to write weights.
        plan: What defines the run, kept in the state; its early stopping is obeyed.
        rows: Metrics of the epochs already done; grows.
        keep: How often weights are kept along the way.
    """

    def __init__(
        self,
        folder: Path,
        module: SupervisedTraining,
        save: Save,
        *,
        plan: dict[str, Any],
        rows: EpochRows,
        keep: KeepEvery | None = None,
    ) -> None:
        self.folder = folder
        self.module = module
        self.save = save
        self.plan = plan
        self.rows = rows
        self.keep = keep
        self.started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the first weights."""
        if not self.rows:
            remove_kept(self.folder)
            if self.keep:
                self._keep(self.folder, 0, {"epoch": 0})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the weights after a step."""
        step = trainer.global_step
        if self.keep and self.keep.unit == "step" and step % self.keep.count == 0:
            self._keep(self.folder, step, {"epoch": trainer.current_epoch, "step": step})

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the files; Lightning has evaluated the test images by now."""
        row: EpochRow = {
            "epoch": trainer.current_epoch + 1,
            **self.module.scores(),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "seconds": round(time.perf_counter() - self.started, 3),
        }
        self.rows.append(row)
        stops = gave_up(self.rows, self.plan["early_stopping_patience"], self.module.stopping_score)
        save_or_keep(partial(self._write, trainer, stops), self.folder, go_on=_GO_ON.format(self.folder))
        _log.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in row.items()))
        trainer.should_stop = stops

    def _write(self, trainer: Trainer, stops: bool, folder: Path) -> None:  # noqa: FBT001
        """Write the files of the epoch that has just ended, the last one's kept weights in any case."""
        row = self.rows[-1]
        ends = stops or len(self.rows) == trainer.max_epochs
        if self.keep and self.keep.unit == "epoch" and (ends or len(self.rows) % self.keep.count == 0):
            self._keep(folder, len(self.rows), row)
        elif self.keep and self.keep.unit == "step" and ends:
            self._keep(folder, trainer.global_step, {**row, "step": trainer.global_step})
        best = best_epoch(self.rows, self.module.score) == len(self.rows) - 1
        for name in [LAST, BEST] if best else [LAST]:
            with replacing(folder / name) as unfinished:
                self.save(unfinished, self.module.network, {**row, "seed": self.plan["seed"]})
        save_metrics(folder / METRICS, self.rows)
        # Lightning means by it that the optimizer shall be left out.
        trainer.save_checkpoint(folder / STATE, weights_only=False)

    def _keep(self, folder: Path, number: int, scores: EpochRow) -> None:
        assert self.keep is not None
        with replacing(self.keep.file(folder, number)) as unfinished:
            self.save(unfinished, self.module.network, {**scores, "seed": self.plan["seed"]})

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the run's definition and history to Lightning's state."""
        checkpoint["gradscape"] = {"plan": self.plan, "rows": self.rows}


def best_epoch(rows: EpochRows, metric: str) -> int:
    """Index of the epoch with the highest score, such as an accuracy; the first of equals."""
    return max(range(len(rows)), key=lambda epoch: rows[epoch][metric])


def gave_up(rows: EpochRows, patience: int | None, metric: str) -> bool:
    """Whether the epoch with the highest score lies at least `patience` epochs back."""
    return patience is not None and bool(rows) and len(rows) - 1 - best_epoch(rows, metric) >= patience
