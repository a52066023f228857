"""From a model and images to its sharpness, set of images by set of images."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn

from gradscape._digest import digest_model
from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device
from gradscape._profile import spent_on
from gradscape._provenance import current_versions
from gradscape.landscape.engine import (
    Block,
    ForwardFunction,
    LossFunction,
    Task,
    Work,
    call,
    check_followed,
    check_handles,
    check_labels,
    check_model,
    check_premade,
    count_images,
    cross_entropy,
    cut_blocks,
    evaluable,
    ignored_label,
    in_mean_weight,
    plain_plan,
)
from gradscape.landscape.engine.labels import LaterLabels
from gradscape.landscape.engine.reached import check_precise, check_reached
from gradscape.landscape.movable import chosen_names
from gradscape.landscape.sharpness.disturbances import Disturbances, disturb
from gradscape.landscape.sharpness.disturbed import DisturbedNetwork
from gradscape.landscape.sharpness.kinds import Norm, list_cases
from gradscape.landscape.sharpness.ledger import RiseLedger
from gradscape.landscape.sharpness.rises import Sharpness

__all__ = ["measure_sharpness"]

_TRIED = 32  # images on which a network is checked


@left_as_before
def measure_sharpness(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    kinds: Sequence[str] = ("average", "adaptive_average", "sam", "asam"),
    rhos: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    m: int | None = 64,
    norm: Norm = "l2",
    steps: int = 20,
    draws: int = 10,
    parameters: str = "*",
    seed: int = 0,
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    batch_size: int = 128,
    population: int | None = None,
    path: str | os.PathLike[str] | None = None,
    seconds: float | None = None,
    meta: Mapping[str, Any] | None = None,
    report: Callable[[int, int], object] | None = None,
) -> Sharpness:
    """Measure how far the loss rises where weights are disturbed at random, or in the worst way.

    The model is evaluated in `eval()`, in its own float32 or float64 and where it is; it is the same to the bit
    afterwards, also after an exception.

    Args:
        model: Any module.
        batches: Pairs (inputs, labels), in the same order at every iteration.
        kinds: Names among `SHARPNESS_KINDS`, which tells what each means. By steps of an ascent, "worst" and
            "adaptive_worst" cost most: as many gradients for each rho.
        rhos: Sizes of the disturbance for all kinds, or by kind; None takes usual ones.
        m: Images for which a worst case is sought at once (m-sharpness): sets of consecutive images, without the rest
            that is no whole set. None takes all, which gives no interval.
        norm: In which rho is the size of a worst case: "l2" or "linf".
        steps: Of the ascent; what it finds is a lower bound of the largest rise.
        draws: Number of random disturbances, 2 at least; each comes with its mirror image, w + z and w − z.
        parameters: Names of those that are disturbed, as `random_directions` takes them; all by default, biases and
            batch norms among them.
        seed: Of all draws.
        loss: (output, labels) -> one number per image; it must be differentiable for worst cases.
        forward: (model, inputs) -> output, where the model does not take a tensor or give one.
        batch_size: Images in a forward pass.
        population: Number of images that those in `batches` were drawn from; by default what `batches` says in an
            attribute `population`, or their own number.
        path: A `.npz` file that is kept up to date meanwhile. If it exists, what it holds is not measured again.
        seconds: Stop so many seconds after the call, at the earliest after one set of images.
        meta: More provenance to store.
        report: Called after every set with the images done, and all.

    Returns:
        Rises of every kind and rho; with `path` also in the file.

    Raises:
        ValueError: A kind, norm, size or number is none of the allowed, there are fewer than m images, the loss is a
            scalar or not differentiable, the model is random, depends on the batch, is in half precision or detaches
            a parameter, or `path` holds another measurement.

    Source: Foret et al. 2021 (SAM); Kwon et al. 2021 (ASAM); Andriushchenko et al. 2023.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(4, 3)
        >>> batches = [(torch.randn(256, 4), torch.arange(256) % 3)]
        >>> sharpness = measure_sharpness(net, batches, kinds=["sam", "worst"], rhos=[0.05], m=16)
        >>> sam, worst = sharpness.measures.values()
        >>> 0 < sam.low < sam.value <= worst.value
        True
    """
    search = Disturbances(tuple(list_cases(kinds, rhos, norm)), norm, steps, draws, seed)
    _check_counts(search, m=m, batch_size=batch_size, seconds=seconds)
    until = float("inf") if seconds is None else time.monotonic() + seconds
    ignored = ignored_label(loss)
    check_precise(model)
    images = count_images(batches, ignored=ignored)
    with evaluable(model):
        task = in_mean_weight(Task(loss, None, forward), batches)
        sets = _whole_sets(cut_blocks(batches, m or sys.maxsize, ignored=ignored), m)
        first = next(sets)
        names = chosen_names(model, [name for name, _ in model.named_parameters()], parameters)
        labels = _check(model, first, task, names, sought=bool(search.rows(random=False)))
        ledger = RiseLedger(search, images, population or getattr(batches, "population", None), path)
        ledger.begin(
            {**(meta or {}), **_made(model, task, search, batch_size), "parameters": parameters}, m=first.count
        )
        network = DisturbedNetwork(model, names, task, batch_size=batch_size)
        for block in chain([first], labels.within(sets)):
            if not ledger.holds(block):
                ledger.add(block, *disturb(network, block, search))
            if report is not None:
                report(ledger.images, ledger.total)
            if time.monotonic() > until:
                break
    return ledger.result(save=True)


def _whole_sets(blocks: Iterator[Block], m: int | None) -> Iterator[Block]:
    """The blocks of m images; the last one may be smaller, whose worst case is another."""
    kept = 0
    for block in blocks:
        if m is None or block.count == m:
            kept += 1
            yield block
        elif not kept:
            raise ValueError(f"`m` must be at most the {block.count} images that there are, got {m}: take fewer")


@spent_on("planning")
def _check(model: nn.Module, first: Block, task: Task, names: set[str], *, sought: bool) -> LaterLabels:
    """Refuse a model or functions that cannot be judged, by the first images."""
    tried = first.part(0, min(first.count, _TRIED)).to(model_device(model))
    away = {name: torch.ones_like(one) for name, one in model.named_parameters() if name in names}
    check_premade(model, tried, task.forward)
    labels = check_labels(model, tried, task)
    check_model(model, tried, task)
    check_handles(
        Work(model, [away], np.array([[0.0], [1.0]]), [1], task, tried, images=None, population=None, seconds=None)
    )
    check_followed(model, [away], tried, task.forward)
    if sought:
        check_reached(model, names, tried, task)
    return labels


def _made(model: nn.Module, task: Task, search: Disturbances, batch_size: int) -> dict[str, Any]:
    """How the numbers come about, as far as the file does not say it otherwise."""
    return {
        "weights": digest_model(model),
        **task.names(),
        "functions": task.identities(),
        "steps": search.steps,
        "draws": search.draws,
        "seed": search.seed,
        "plan": asdict(plain_plan(model, precision="fp32", batch_size=batch_size)),
        "versions": current_versions(),
    }


def _check_counts(search: Disturbances, *, m: int | None, batch_size: int, seconds: float | None) -> None:
    counts = {"m": (m, 1), "steps": (search.steps, 1), "batch_size": (batch_size, 1), "draws": (search.draws, 2)}
    for name, (count, least) in counts.items():
        if count is not None and count < least:
            raise ValueError(f"`{name}` must be at least {least}, got {count}")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"`seconds` must be positive, got {seconds:g}")
