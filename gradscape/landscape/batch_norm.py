"""What becomes of running statistics where a network moves: they stay, move along, or are measured anew."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import (
    ForwardFunction,
    Recalibration,
    call,
    evaluable,
    kept_statistics,
    moving_names,
    running_statistics,
    write_statistics,
)

__all__ = ["BatchNorm", "check_batch_norm", "recalibrated", "settled_directions"]

BatchNorm = Literal["stored", "moving", "recalibrated"]


def check_batch_norm(batch_norm: str | None, *, calibrated: bool) -> None:
    """Refuse a treatment that is unknown, or that does not fit whether there are calibration images.

    Raises:
        ValueError: Which of the two it is.
    """
    if batch_norm is not None and batch_norm not in get_args(BatchNorm):
        raise ValueError(f"`batch_norm` must be one of {', '.join(get_args(BatchNorm))}, got {batch_norm!r}")
    if batch_norm == "recalibrated" and not calibrated:
        raise ValueError(
            '`calibration` must be given where `batch_norm` is "recalibrated": batches of training images, such as '
            'load_split(name, "train", limit=2000)'
        )
    if calibrated and batch_norm != "recalibrated":
        raise ValueError('`calibration` is what `batch_norm`="recalibrated" measures on: give both or neither')


def settled_directions(
    model: nn.Module, directions: Sequence[Direction], batch_norm: BatchNorm | None
) -> tuple[BatchNorm | Literal["none"], list[Direction]]:
    """Which treatment batch norms get, and the directions as far as they move the network then.

    Args:
        model: Where all coordinates are 0.
        directions: One for each axis.
        batch_norm: What was asked for; None follows the directions.

    Returns:
        The treatment ("none" where there are no running statistics), and directions without running statistics where
        these do not move.

    Raises:
        ValueError: Statistics are to move, but the directions leave them, or there are none.
    """
    statistics = set(running_statistics(model))
    moved = bool(statistics & moving_names(directions))
    if batch_norm == "moving" and not moved:
        fix = (
            'make these with `space`="states" (random ones with `ignore`="none", too), or recalibrate'
            if statistics
            else "it has none, so leave this out"
        )
        raise ValueError(f'`batch_norm`="moving" needs directions that move running statistics of the model: {fix}')
    if batch_norm is None:
        found: BatchNorm = "moving" if moved else "stored"
        return found if statistics else "none", list(directions)
    if batch_norm == "moving":
        return batch_norm, list(directions)
    still = [{name: change for name, change in one.items() if name not in statistics} for one in directions]
    return batch_norm if statistics or batch_norm == "recalibrated" else "none", still


@contextmanager
def recalibrated(model: nn.Module, batches: Iterable[Any], *, forward: ForwardFunction = call) -> Iterator[None]:
    """Inside, a model's batch norms have the statistics of some images at the weights it has; afterwards its own again.

    Running means and variances are the averages, over batches, of each batch's mean and unbiased variance, as
    `torch.optim.swa_utils.update_bn` computes them: μ = 1/B Σ_b μ_b, σ² = 1/B Σ_b σ²_b. The images are cut into
    B = ⌈N/250⌉ batches of equal size, up to one image, whatever the sizes of those given. Batch norms alone are in
    training meanwhile: nothing is dropped out, no momentum counts, and no gradient is taken.

    Args:
        model: Any network with batch norms; modes and all other tensors stay as they are.
        batches: Pairs (inputs, labels), of which labels are not looked at. All inputs are held in memory.
        forward: (model, inputs) -> output, where the model does not take a tensor.

    Raises:
        ValueError: There is nothing to recalibrate, there are fewer than two images, or batch norms do not run in
            `eval()` since they were merged.

    Source: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", section 3.2;
        Jordan et al. 2023, "REPAIR: REnormalizing Permuted Activations for Interpolation Repair".

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 3)).eval()
        >>> images = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
        >>> with recalibrated(net, [(images, torch.zeros(2))]):
        ...     net[0].running_mean.tolist(), net[0].running_var.tolist()
        ([2.0, 10.0], [2.0, 0.0])
        >>> net[0].running_mean.tolist()
        [0.0, 0.0]
    """
    statistics = _measured(model, batches, forward)
    with kept_statistics(model):
        write_statistics(model, statistics)
        yield


@left_as_before
def _measured(model: nn.Module, batches: Iterable[Any], forward: ForwardFunction) -> dict[str, Tensor]:
    with evaluable(model):
        return Recalibration(model, batches, forward).measured(model)
