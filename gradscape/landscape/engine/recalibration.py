"""Batch-norm statistics measured anew wherever a network is: averages over a set of images, without gradients."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from gradscape._digest import digest_tensors
from gradscape._journal import undone
from gradscape._model_state import changes_with_mode, model_device
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import cut_blocks, map_tensors, tensors_in
from gradscape.landscape.engine.moving import moving
from gradscape.landscape.engine.task import ForwardFunction, call

__all__ = [
    "CALIBRATION_BATCH",
    "Recalibration",
    "kept_statistics",
    "moving_recalibrated",
    "running_statistics",
    "write_statistics",
]

CALIBRATION_BATCH = 250
"""Images in a batch of calibration, at most."""

_ALL = 2**62  # images: more than there are
_HELD_BYTES = 2**30  # of statistics of all points: what does not fit is measured again, to the same bits
_SHOWN = 3  # names in a message


def running_statistics(model: nn.Module) -> list[str]:
    """Names of the running means and variances of a model's norms, where these have any."""
    return [
        f"{prefix}.{kind}".removeprefix(".")
        for prefix, module in model.named_modules()
        if isinstance(module, _NormBase) and module.running_mean is not None
        for kind in ("running_mean", "running_var")
    ]


@final
class Recalibration:
    """Measures the statistics of a model's batch norms on one set of images, wherever the model is.

    Running means and variances are the averages, over batches, of each batch's mean and unbiased variance, as
    `torch.optim.swa_utils.update_bn` computes them. The images are cut into ⌈N/250⌉ batches of equal size, up to one
    image, whatever the sizes of those given: layers behind others see what their batch made of these, so that
    statistics of small batches would be others. Batch norms alone are in training meanwhile.

    What was measured at a position is kept: all rounds of an evaluation find it again.

    Args:
        model: In `eval()`.
        batches: Pairs (inputs, labels) of calibration.
        forward: (model, inputs) -> output.

    Attributes:
        images: How many images there are.
        batches: In how many batches.
        digest: Name for the exact bits of the images.
        seconds: How long the last measurement took; 0 before the first.

    Raises:
        ValueError: The model has nothing to recalibrate, or there are fewer than two images.
    """

    def __init__(self, model: nn.Module, batches: Iterable[Any], forward: ForwardFunction = call) -> None:
        _check_norms(model)
        try:
            (whole,) = cut_blocks(batches, _ALL)
        except (TypeError, ValueError) as problem:
            raise type(problem)(str(problem).replace("`batches`", "`calibration`")) from problem
        if whole.count < 2:
            raise ValueError("`calibration` must hold at least two images: one alone has no variance")
        self.images, self.batches = whole.count, -(-whole.count // CALIBRATION_BATCH)
        self.digest = digest_tensors((str(number), one) for number, one in enumerate(tensors_in(whole.inputs)))
        self.seconds = 0.0
        device = model_device(model)
        bounds = [whole.count * number // self.batches for number in range(self.batches + 1)]
        self._parts = [
            map_tensors(lambda tensor, a=start, b=stop: tensor[a:b].to(device), whole.inputs)
            for start, stop in pairwise(bounds)
        ]
        self._forward = forward
        self._known: dict[tuple[float, ...], dict[str, Tensor]] = {}
        self._held = 0

    def record(self) -> dict[str, Any]:
        """What the provenance says of it."""
        return {
            "images": self.images,
            "batches": self.batches,
            "definition": "average over batches of the batch's mean and unbiased variance",
            "digest": self.digest,
        }

    def set_at(self, model: nn.Module, position: Sequence[float]) -> None:
        """Give the model, which is at a position, the statistics of the images there."""
        # Sums over other shares of the work round otherwise: what was measured with other threads is measured again.
        key = (*position, torch.get_num_threads())
        found = self._known.get(key)
        if found is None:
            began = time.perf_counter()
            found = self.measured(model)
            self.seconds = time.perf_counter() - began
            size = sum(tensor.nbytes for tensor in found.values())
            if self._held + size <= _HELD_BYTES:
                self._known[key] = found
                self._held += size
        write_statistics(model, found)

    def measured(self, model: nn.Module) -> dict[str, Tensor]:
        """The statistics by name, where the model is; it is left as it was.

        Raises:
            ValueError: The batch norms do not run.
        """
        layers = _layers(model)
        with torch.no_grad(), kept_statistics(model), _averaging(layers.values()):
            for inputs in self._parts:
                self._forward(model, map_tensors(torch.clone, inputs))  # a model may write into its inputs
            ran = {name: layer for name, layer in layers.items() if int(layer.num_batches_tracked or 0)}
            if asleep := [name for name in layers if name not in ran]:
                _check_asleep(model, asleep, len(ran))
            return {
                f"{name}.{kind}".removeprefix("."): getattr(layer, kind).clone()
                for name, layer in ran.items()
                for kind in ("running_mean", "running_var")
            }


@contextmanager
def moving_recalibrated(
    model: nn.Module, directions: Sequence[Direction], recalibration: Recalibration | None
) -> Iterator[Callable[[Sequence[float]], None]]:
    """`moving`, at every position with the statistics of the calibration there, if there is one."""
    with moving(model, directions) as move:
        if recalibration is None:
            yield move
            return

        def move_to(position: Sequence[float]) -> None:
            move(position)
            recalibration.set_at(model, position)

        with kept_statistics(model):
            yield move_to


def _layers(model: nn.Module) -> dict[str, _BatchNorm]:
    norms = ((name, module) for name, module in model.named_modules() if isinstance(module, _BatchNorm))
    return {name: module for name, module in norms if module.running_mean is not None}


def _check_norms(model: nn.Module) -> None:
    """Refuse a model without statistics, or with some that are none of batches."""
    if not _layers(model):
        raise ValueError(
            '`batch_norm` must not be "recalibrated" for this model, which has no batch norm with running statistics: '
            "there is nothing to recalibrate, leave it out"
        )
    known = {f"{name}.running_mean".removeprefix(".") for name in _layers(model)}
    others = [name for name in running_statistics(model) if name.endswith("running_mean") and name not in known]
    if others:
        raise ValueError(
            '`batch_norm` must not be "recalibrated" for a model with other running statistics than those of batch '
            f'norms ({", ".join(others[:_SHOWN])}): only "stored" and "moving" say what these are'
        )


def _check_asleep(model: nn.Module, asleep: Sequence[str], running: int) -> None:
    """Refuse batch norms that were merged; others that do not run (those of an auxiliary head) do not matter."""
    if not running or changes_with_mode(model):
        raise ValueError(
            '`batch_norm` must not be "recalibrated" where batch norms do not run in eval(), but these do not: '
            f"{', '.join(asleep[:_SHOWN])}; does the model merge them into its weights? Give it without that"
        )


@contextmanager
def kept_statistics(model: nn.Module) -> Iterator[None]:
    """Afterwards running statistics and counts of batches are as before."""
    layers = _layers(model).values()
    tensors = [one for layer in layers for one in layer.buffers(recurse=False)]
    values = [tensor.detach().clone() for tensor in tensors]

    def put_back() -> None:
        with torch.no_grad():
            for tensor, value in zip(tensors, values, strict=True):
                tensor.copy_(value)

    with undone(put_back):
        yield


@contextmanager
def _averaging(layers: Iterable[_BatchNorm]) -> Iterator[None]:
    """Inside, batch norms normalize by their batch and average what they see from now on."""
    known = list(layers)
    modes = [(layer.training, layer.momentum) for layer in known]

    def put_back() -> None:
        for layer, (training, momentum) in zip(known, modes, strict=True):
            layer.training, layer.momentum = training, momentum

    with undone(put_back):
        for layer in known:
            nn.modules.batchnorm._NormBase.reset_running_stats(layer)
            layer.training, layer.momentum = True, None  # by which torch takes the plain average
        yield


def write_statistics(model: nn.Module, statistics: Mapping[str, Tensor]) -> None:
    """Give a model running statistics, by their names."""
    buffers = dict(model.named_buffers())
    with torch.no_grad():
        for name, value in statistics.items():
            buffers[name].copy_(value)
