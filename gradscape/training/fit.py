"""One training run: a network, its data and a recipe become checkpoints and metrics."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from gradscape._left_as_before import process_left_as_before
from gradscape._model_state import check_made
from gradscape._trainer import in_training_mode, isolated_trainer, quiet_trainer
from gradscape.training.augmentation import AugmentedImages, EpochOrder, Item
from gradscape.training.classification import Classification
from gradscape.training.detection import Detection
from gradscape.training.epoch_bar import EpochBar
from gradscape.training.history import EpochRows, column_names
from gradscape.training.kept import KeepEvery, check_room
from gradscape.training.recipe import Recipe
from gradscape.training.recorder import Recorder, Save, gave_up
from gradscape.training.resumption import describe_training, read_state
from gradscape.training.run_files import BEST, LAST, STATE
from gradscape.training.segmentation import Segmentation
from gradscape.training.supervised import SupervisedTraining, TrainingBatch
from gradscape.training.validation import hold_out

__all__ = ["TrainingRun", "train_model"]

_KINDS: dict[str, type[SupervisedTraining]] = {
    "detection_loss": Detection,
    "pixel_cross_entropy": Segmentation,
}  # by the loss


@dataclass(frozen=True)
class TrainingRun:
    """What a training run left behind.

    Attributes:
        checkpoint: Weights after the last epoch, chosen without a look at the test images.
        best_checkpoint: Weights after the epoch with the highest test score, the first of equals.
        metrics: Column of metrics.csv -> float64 array, one number an epoch. Accuracies are in [0, 1]; `train_loss`
            and `train_accuracy` are those of the training steps: augmented images, weights on the move; losses are
            means over images of the recipe's loss, for "ohem" of the cross-entropy, those that it drops included;
            `validation_loss` and `validation_accuracy`, of images that the recipe holds out, are there if it does;
            `test_top5_accuracy` and `validation_top5_accuracy` of more than five classes;
            `learning_rate` is that of the epoch's last step. Of detectors `test_ap` and `test_ap50` take the place of
            accuracies, of segmenters `test_iou`.
        score: The column by which the best epoch is chosen: `test_accuracy`, `test_ap50` or `test_iou`.
    """

    checkpoint: Path
    best_checkpoint: Path
    metrics: dict[str, np.ndarray]
    score: str = "test_accuracy"

    @property
    def final_accuracy(self) -> float:
        """Test accuracy, or what `score` has in its place, after the last epoch, in [0, 1]."""
        return float(self.metrics[self.score][-1])

    @property
    def best_accuracy(self) -> float:
        """Highest of any epoch, in [0, 1]: what most papers print, selected on the test images."""
        return float(self.metrics[self.score].max())


@process_left_as_before
def train_model(
    network: nn.Module,
    train: Dataset[Item],
    test: Iterable[TrainingBatch],
    *,
    recipe: Recipe,
    mean: Sequence[float],
    std: Sequence[float],
    output: str | os.PathLike[str],
    save: Save,
    seed: int = 0,
    device: str = "auto",
    precision: str = "32-true",
    workers: int = 0,
    keep_every: str | None = None,
    started_from: str | None = None,
    progress: bool = True,
    resume: bool = True,
) -> TrainingRun:
    """Train a network, in place; write its files after every epoch; go on where a stopped run stopped.

    The order of the images, their augmentation and the network's own randomness (dropout) in an epoch follow from
    `seed` and the epoch's number alone: on one machine a run that was killed and started again ends in bitwise the
    same weights. The network's first weights are the caller's: seed them.

    Args:
        network: Takes normalized images (N, 3, H, W), gives logits (N, classes); for the loss "detection_loss" a
            detector,
            with its `losses`, for "pixel_cross_entropy" logits (N, classes, H, W).
        train: Map-style data set of (image float32 (3, H, W) in [0, 1], label); the label is a class, a dict of boxes
            or the classes of all pixels, as `load_annotated` gives them. An epoch whose last batch would be a single
            image leaves it out, another one each time. Resized crops are parts of the images of its `whole`, if it has
            one: the same in the same order, uint8 (3, H, W), each of a size of its own.
        test: Batches of (images, labels), iterated once an epoch.
        recipe: Loss, optimizer, schedule, augmentation, held-out images and early stopping. Its `mean`, `std` and
            `seeds` are for the caller: what counts here are the next two, and `seed`.
        mean: Of the three channels, to normalize with.
        std: Of the three channels, to normalize with.
        output: Folder for model.safetensors (last epoch), best.safetensors (highest test accuracy), metrics.csv and
            state.ckpt (to go on from). All are replaced at once: each is always whole.
        save: Called as save(path, network, scores) to write a `.safetensors` file; scores is a row of metrics.csv
            and the seed; of weights kept at the start or within an epoch, only how many epochs (and steps) are done.
        seed: Of everything random in the epochs, from 0.
        device: auto, or as torch names it: cpu, cuda, cuda:1, mps.
        precision: As Lightning's Trainer names it: 32-true, bf16-mixed, 16-mixed.
        workers: Processes that augment images; the images are the same with any number.
        keep_every: Keeps the weights after every so many epochs ("5", "5epochs") or steps ("50steps") as files of
            `save`, in a folder `kept` in `output`: the first, the last, and those between.
        started_from: A digest of trained weights that the network has already; a run that began with others, or with
            none, is not gone on with.
        progress: Whether to draw a progress bar.
        resume: Go on with the run in `output`, if there is one; False starts anew.

    Returns:
        Paths and metrics; of a run that was finished before, without training.

    Raises:
        TypeError: `train` or `test` cannot be iterated again, or images are of the wrong kind.
        ValueError: Images, labels, logits or an option do not fit, or `output` holds another run.
        RuntimeError: The loss is no longer finite; the epochs before are kept.
        OSError: A file cannot be written.

    Example:
        >>> import torch
        >>> from gradscape.data import load_split
        >>> from gradscape.models import create_model, save_checkpoint
        >>> from gradscape.training import create_recipe
        >>> train, test = (load_split("digits", split, image_size=8, limit=40) for split in ("train", "test"))
        >>> net, (mean, std) = create_model("resnet20", image_size=8), train.channel_statistics()
        >>> shape = {"name": "resnet20", "num_classes": 10, "image_size": 8, "mean": mean, "std": std}
        >>> run = train_model(
        ...     net, train.dataset, test, recipe=create_recipe("digits", epochs=1), mean=mean, std=std, output="run",
        ...     save=lambda path, network, scores: save_checkpoint(path, network, **shape, **scores), progress=False,
        ... )
        >>> run.checkpoint.name, 0 <= run.final_accuracy <= 1
        ('model.safetensors', True)
    """
    _check_options(test, seed=seed)
    check_made(network, argument="network")
    keep = None if keep_every is None else KeepEvery.read(keep_every)
    plan = {
        **asdict(replace(recipe, seeds=1)),
        "seed": seed,
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "precision": precision,
        "keep_every": None if keep is None else str(keep),
        "started_from": started_from,
        **describe_training(network, train),
    }
    taught, held_out = hold_out(train, recipe.validation_share, seed=seed)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    state = read_state(folder / STATE, plan, resume=resume)
    # Older states counted their epochs from 0.
    rows: EpochRows = [
        {**row, "epoch": epoch} for epoch, row in enumerate(state["gradscape"]["rows"] if state else [], 1)
    ]
    module = _KINDS.get(recipe.loss, Classification)(network, recipe, mean=mean, std=std, seed=seed)
    if len(rows) == recipe.epochs or gave_up(rows, recipe.early_stopping_patience, module.stopping_score):
        module.load_state_dict(state["state_dict"])
    else:
        loader = _loader(taught, recipe, seed=seed, epoch=len(rows), workers=workers)
        evaluated = _evaluation_loaders(test, held_out, recipe, workers)
        if keep:
            check_room(folder, network, keep, epochs=recipe.epochs, steps=len(loader))
        recorder = Recorder(folder, module, save, plan=plan, rows=rows, keep=keep)
        with isolated_trainer(), in_training_mode(network):
            bars = [EpochBar(recipe, done=len(rows))] if progress else []
            trainer = quiet_trainer(folder, [recorder, *bars], epochs=recipe.epochs, device=device, precision=precision)
            start = folder / STATE if rows else None
            trainer.fit(module, loader, evaluated, ckpt_path=start, weights_only=True)
    metrics = {name: np.array([float(row.get(name, np.nan)) for row in rows]) for name in column_names(rows)}
    return TrainingRun(folder / LAST, folder / BEST, metrics, module.score)


class _OneLoader:
    """Any iterable of batches as one loader: of a bare list Lightning makes one loader per entry."""

    def __init__(self, batches: Iterable[TrainingBatch]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[TrainingBatch]:
        return iter(self.batches)


def _check_options(test: object, *, seed: int) -> None:
    if not isinstance(test, Iterable) or iter(test) is test:
        kind = type(test).__name__
        raise TypeError(
            f"`test` must be batches that can be iterated every epoch, got a {kind}; pass a list or a loader"
        )
    if seed < 0:
        raise ValueError(f"`seed` must be 0 or more, got {seed}; choose another")


def _loader(train: Dataset[Item], recipe: Recipe, *, seed: int, epoch: int, workers: int) -> DataLoader[Item]:
    images = AugmentedImages(train, recipe)
    return DataLoader(
        images,
        recipe.batch_size,
        sampler=EpochOrder(len(images), seed=seed, epoch=epoch, batch_size=recipe.batch_size),
        num_workers=workers,
        persistent_workers=workers > 0,
        # The loader draws a number when it starts: from a generator of its own, that of the epoch stays in place.
        generator=torch.Generator(),
    )


def _evaluation_loaders(
    test: Iterable[TrainingBatch], held_out: Dataset[Item] | None, recipe: Recipe, workers: int
) -> list[Any]:
    """Those of the test images, then of the images held out, if there are any."""
    loaders: list[Any] = [_OneLoader(test)]
    if held_out is not None:
        loaders.append(
            DataLoader(
                held_out,
                recipe.batch_size,
                num_workers=workers,
                persistent_workers=workers > 0,
                generator=torch.Generator(),
            )
        )
    return loaders
