"""How far a training is: one bar for all its epochs."""

from typing import Any, final

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gradscape.training.recipe import Recipe

__all__ = ["EpochBar"]

_LOSS_STEPS = 10  # between two looks at the loss, for which a GPU has to be waited for


@final
class EpochBar(Callback):
    """Epoch, counted from 1, steps of all epochs, time left, and loss, on stderr.

    Args:
        recipe: How many epochs there are.
        done: How many of them were there when the run went on.
    """

    def __init__(self, recipe: Recipe, *, done: int) -> None:
        self._epochs, self._done = recipe.epochs, done
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps,"),
            TimeRemainingColumn(),
            TextColumn("left, loss {task.fields[loss]:.3g}"),
            console=Console(stderr=True),
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin where the run goes on."""
        steps = int(trainer.num_training_batches)
        self._task = self._progress.add_task(
            "", total=self._epochs * steps, completed=self._done * steps, epoch=self._done + 1, epochs=self._epochs,
            loss=float("nan"),
        )  # fmt: skip
        self._progress.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say which epoch it is."""
        self._progress.update(self._task, epoch=trainer.current_epoch + 1)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Go on by a step."""
        self._progress.update(self._task, advance=1)
        if batch_idx % _LOSS_STEPS == 0:
            self._progress.update(self._task, loss=float(outputs["loss"]))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the bar as it is, also after a mistake or Ctrl-C."""
        self._progress.stop()
