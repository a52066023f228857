"""Fit a curve between two networks, along which the loss is low."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradscape._digest import digest_model
from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device, unchanged
from gradscape._provenance import current_versions
from gradscape._refuge import save_or_keep
from gradscape._torch_files import read_torch
from gradscape._trainer import isolated_trainer, quiet_trainer
from gradscape.landscape.directions import Direction, difference_direction
from gradscape.landscape.engine import (
    Block,
    ForwardFunction,
    LossFunction,
    Task,
    call,
    cross_entropy,
    cut_blocks,
    same_output,
)
from gradscape.landscape.engine.moving import named_tensors
from gradscape.landscape.engine.task import judge
from gradscape.landscape.movable import bare_name, is_movable
from gradscape.landscape.paths.bend_training import FIT, LOSSES, BendTraining, EpochBatches, StateKeeper
from gradscape.landscape.paths.curve import Curve
from gradscape.landscape.paths.curve_kinds import CurveKind

__all__ = ["curve_state", "fit_curve"]

_TRIED = 32  # images
_FOLLOWED = 1e-3  # of the largest loss
_DISTURBANCE = 0.01  # of the distance: on a symmetric ridge the gradient of the middle has no way down


@left_as_before
def fit_curve(
    model: nn.Module,
    other: nn.Module,
    batches: Iterable[Any],
    *,
    kind: CurveKind = "bezier",
    epochs: int = 30,
    learning_rate: float = 0.03,
    weight_decay: float = 0.0,
    seed: int = 0,
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    path: str | os.PathLike[str] | None = None,
    report: Callable[[int, float], None] | None = None,
    seconds: float | None = None,
) -> Curve:
    """Fit the bend θ of a curve φ between two networks: min over θ of E_{t ~ U(0, 1)} L(φ(t)), the ends fixed.

    SGD with momentum 0.9; each step takes one batch at one t. Networks are in `train()` meanwhile, so that batch norms
    use the statistics of the batch; those of the running statistics along the curve have to be measured when it is
    evaluated (`batch_norm="recalibrated"`). The learning rate falls to 1 % between half and nine tenths of the epochs.
    The bend begins in the middle of the two networks, disturbed at random by 1 % of their distance. Both networks are
    the same to the bit afterwards.

    Args:
        model: The network at t = 0.
        other: The network at t = 1; the same architecture.
        batches: Pairs (inputs, labels), iterated once an epoch: best a DataLoader that shuffles, which it does from
            `seed` and the epoch.
        kind: "bezier", a quadratic Bézier curve, or "chain", two straight pieces.
        epochs: How often all batches are seen.
        learning_rate: At the beginning.
        weight_decay: λ of ½ λ ‖φ(t)‖², as the paper adds it to the loss; it took 3e-4 and 5e-4.
        seed: Of the disturbance, the ts, and all that is random in batches and networks.
        loss: (output, labels) -> one number per image.
        forward: (model, inputs) -> output, where the model does not take a tensor or give one.
        path: A `.safetensors` file for the curve. A fit that was stopped goes on from the `.ckpt` file beside it, which
            holds the state after the last epoch; on one machine it ends in the same bits. A finished one is read.
        report: Called after each epoch with the epochs done and the mean loss of the last.
        seconds: Time for the epochs of this call, with a `path`: after its first, none begins that would end later if
            it took as long as the last.

    Returns:
        The curve; with `path` also in the file.

    Raises:
        TypeError: `batches` cannot be iterated again, or a loss is no tensor.
        ValueError: The networks do not have the same tensors, a loss is a scalar, a number is not in its range, or
            `path` holds another curve.
        RuntimeError: The loss is no longer finite.
        TimeoutError: `seconds` were too few for all epochs; the same call again goes on.
        OSError: A file cannot be written.

    Source: Garipov et al. 2018, "Loss Surfaces, Mode Connectivity, and Fast Ensembling of DNNs" (arXiv 1802.10026),
        section 3.

    Example:
        >>> import torch
        >>> first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
        >>> batches = [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> curve = fit_curve(first, second, batches, epochs=5)
        >>> curve.evaluate(first, batches, [0.0, 0.5, 1.0]).loss.shape
        (3,)
    """
    _check_numbers(epochs, learning_rate, weight_decay, seed)
    place = None if path is None else _checked_place(path)
    _check_seconds(seconds, place)
    start = _first_curve(model, other, kind, seed=seed)
    task = Task(loss, None, forward)
    with unchanged(model, parameters=True), isolated_trainer():
        first = _first_batch(model, batches, task, seed=seed)
        fit = {
            "epochs": epochs,
            "learning_rate": float(learning_rate),
            "weight_decay": float(weight_decay),
            "seed": seed,
            **task.identities(),
            "kind": kind,
            "weights": digest_model(model),
            "other_weights": digest_model(other),
            "first_images": first.digest,
        }
        if place is not None and place.exists():
            return _finished(place, fit)
        training = BendTraining(start, model, task=task, fit=fit)
        _check_followed(training, model, other, first, task)
        losses = _trained(training, model, batches, fit=fit, place=place, report=report, seconds=seconds)
    if len(losses) < epochs:
        raise TimeoutError(
            f"`seconds` is too short: the curve is fitted for {len(losses)} of {epochs} epochs, and the same again "
            "goes on from there"
        )
    meta = {"weights": fit["weights"], "versions": current_versions(), FIT: fit, LOSSES: losses}
    curve = replace(start, bend=training.result(), meta=meta)
    if place is not None:
        save_or_keep(curve.save, place)
        curve_state(place).unlink(missing_ok=True)
    return curve


def curve_state(path: Path) -> Path:
    """The file beside a curve's own from which a fit that was stopped goes on."""
    return path.with_suffix(".ckpt")


def _check_numbers(epochs: int, learning_rate: float, weight_decay: float, seed: int) -> None:
    for name, value, least in (("epochs", epochs, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"`{name}` must be {least} or more, got {value}")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"`learning_rate` must be positive, got {learning_rate}")
    if not 0 <= weight_decay < math.inf:
        raise ValueError(f"`weight_decay` must be 0 or more, got {weight_decay}")


def _check_seconds(seconds: float | None, place: Path | None) -> None:
    if seconds is None:
        return
    if not 0 < seconds < math.inf:
        raise ValueError(f"`seconds` must be positive, got {seconds}")
    if place is None:
        raise ValueError("`seconds` may end a fit early, which goes on from a file: pass a `path`")


def _checked_place(path: str | os.PathLike[str]) -> Path:
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"`path` must end in .safetensors, got {Path(path).name}")
    return Path(path)


def _first_curve(model: nn.Module, other: nn.Module, kind: CurveKind, *, seed: int) -> Curve:
    """Both networks, and a bend near the middle of them."""
    change = difference_direction(model, other)
    tensors = named_tensors(model)
    start = {name: tensors[name].detach().clone() for name in change}
    # Not start + change, which half precision rounds to another network.
    others = {bare_name(name): tensor.detach() for name, tensor in named_tensors(other).items()}
    end = {name: others[bare_name(name)].to(one).clone() for name, one in start.items()}
    trained = [name for name, one in model.named_parameters() if is_movable(one)]
    if not trained:
        raise ValueError("`model` must have parameters that can be trained, but has none")
    straight = Curve(kind=kind, start=start, bend={name: start[name] for name in trained}, end=end, meta={})
    drawn = _isotropic({name: change[name] for name in trained}, seed)
    bend = {name: start[name] + change[name] / 2 + _DISTURBANCE * straight.distance * drawn[name] for name in trained}
    return replace(straight, bend=bend)


def _isotropic(like: Direction, seed: int) -> Direction:
    """A random direction of length 1 over all tensors together."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(one.shape, dtype=_double(one), generator=generator) for name, one in like.items()}
    norm = sum(float(one.abs().square().sum()) for one in drawn.values()) ** 0.5
    return {name: (drawn[name] / norm).to(one) for name, one in like.items()}


def _double(tensor: Tensor) -> torch.dtype:
    return torch.complex128 if tensor.is_complex() else torch.float64


def _first_batch(model: nn.Module, batches: Iterable[Any], task: Task, *, seed: int) -> Block:
    """The first images of the first epoch, on which loss and network are tried.

    Raises:
        TypeError: There are no batches that can be iterated again.
        ValueError: There is no image, or the loss is not one number per image.
    """
    if isinstance(batches, Iterator) or not isinstance(batches, Iterable):
        kind = type(batches).__name__
        raise TypeError(
            f"`batches` must be batches that can be iterated every epoch, got a {kind}; pass a list or a loader"
        )
    first = next(cut_blocks(islice(EpochBatches(batches, seed=seed, epoch=0), 1), _TRIED))
    tried = first.to(model_device(model))
    with torch.no_grad():
        model.eval()
        judge(task.forward(model, tried.inputs), tried.labels, tried.count, task)
    return first


def _finished(place: Path, fit: Mapping[str, Any]) -> Curve:
    curve = Curve.load(place)
    _check_same(curve.meta.get(FIT), fit, place)
    curve_state(place).unlink(missing_ok=True)  # of a fit that was killed as it ended
    return curve


def _check_same(stored: Any, fit: Mapping[str, Any], place: Path) -> None:
    """Refuse what was fitted otherwise.

    Raises:
        ValueError: It was, or nothing is known of it.
    """
    before = stored if isinstance(stored, Mapping) else {}
    changes = [f"`{name}` was {before.get(name)}, is {one}" for name, one in fit.items() if before.get(name) != one]
    if changes:
        raise ValueError(
            f"`path` holds another curve, {place}: {', '.join(changes)}; choose another output, or remove it"
        )


def _check_followed(training: BendTraining, model: nn.Module, other: nn.Module, block: Block, task: Task) -> None:
    """Compare the losses at t = 1 with the other network's own: what is cached, or no tensor, does not move.

    Raises:
        ValueError: They differ.
    """
    model.train()
    with torch.no_grad():
        torch.manual_seed(0)  # of dropout, which is the same for both
        here = block.to(model_device(model))
        reached = training.judged(training.tensors_at(1.0), here.inputs, here.labels)
        with unchanged(other):
            other.train()
            torch.manual_seed(0)
            there = block.to(model_device(other))
            own = task.loss(task.forward(other, there.inputs), there.labels)
    if not same_output(own.cpu(), reached.cpu(), _FOLLOWED):
        raise ValueError(
            "`model` must compute what `other` does when it has its tensors, but at t = 1 the losses differ: weights "
            "are cached or merged, or the networks differ in more than tensors, so that no curve leads to the other"
        )


def _trained(
    training: BendTraining,
    model: nn.Module,
    batches: Iterable[Any],
    *,
    fit: Mapping[str, Any],
    place: Path | None,
    report: Callable[[int, float], None] | None,
    seconds: float | None,
) -> list[float]:
    """Train the bend; return the mean loss of each epoch, of fewer where the time is up.

    It goes on from a state, if there is one.
    """
    state = None if place is None else curve_state(place)
    stored = _read_state(state, fit) if state is not None and state.exists() else {}
    training.losses = list(stored["gradscape"][LOSSES]) if stored else []
    if len(training.losses) == fit["epochs"]:
        training.load_state_dict(stored["state_dict"])
        return training.losses
    keeper = StateKeeper(training, state, fit=fit, report=report, seconds=seconds)
    trainer = quiet_trainer(
        state.parent if state else Path.cwd(), [keeper], epochs=fit["epochs"], device=str(model_device(model))
    )
    seeded = EpochBatches(batches, seed=fit["seed"], epoch=len(training.losses))
    model.train()
    with torch.enable_grad():
        trainer.fit(training, seeded, ckpt_path=state if stored else None, weights_only=True)
    return training.losses


def _read_state(path: Path, fit: Mapping[str, Any]) -> dict[str, Any]:
    try:
        state = read_torch(path)
        before = state["gradscape"][FIT]
    except OSError:
        raise
    except Exception as error:  # torch raises nearly every type on bytes that are not its own
        raise ValueError(f"`path` must have a state to go on from beside it, but {path} is none; remove it") from error
    _check_same(before, fit, path)
    return state
