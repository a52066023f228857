"""Whether labels, loss and metric fit what the network gives: found out on the first images, once."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gradscape.landscape.engine.blocks import Block, is_class_indices, map_tensors, tensors_in
from gradscape.landscape.engine.logits import (
    class_weight,
    cross_entropy,
    has_class_weights,
    ignored_label,
    is_single,
    logits_of,
    nll,
    top1,
)
from gradscape.landscape.engine.task import Task, judge, same_output

__all__ = ["check_labels", "in_mean_weight", "within"]

_COMPANIONS = 1e-4  # of the largest loss: kernels may sum in another order at another batch size
_OTHER_METRIC = "give metric=None, or as `metric` a function (output, labels) -> right or wrong per image"

_log = logging.getLogger(__name__)


def check_labels(model: nn.Module, block: Block, task: Task) -> range | None:
    """Refuse labels, a loss or a metric that do not fit the model's output.

    Args:
        model: In `eval()`, at the origin.
        block: The first images, on the model's device.
        task: What is measured.

    Returns:
        The class indices that later labels have to be among; None where labels are something else.

    Raises:
        TypeError: The output holds no tensor.
        ValueError: As the message says, with the argument to give.
    """
    output = task.forward(model, block.inputs)
    if next(tensors_in(output), None) is None:
        raise TypeError(
            f"`model` must give tensors, but it gives {type(output).__name__}, in which none is found: "
            "give `forward`, (model, inputs) -> output, that takes them out"
        )
    # Before the loss is called: on a GPU a class index out of range ends the process.
    _check_default_loss(output, block.labels, task)
    known = _class_indices(output, block.labels, task)
    next(within([block], known))
    losses, _ = judge(output, block.labels, block.count, replace(task, metric=None))
    _check_default_metric(output, block, task)
    judge(output, block.labels, block.count, task)
    _check_missing(losses, block.labels)
    _check_left_out(output, losses, block, task)
    _check_companions(model, losses, block, task)
    return known


def within(blocks: Iterable[Block], known: range | None) -> Iterator[Block]:
    """The blocks, as long as their labels are among the class indices.

    Raises:
        ValueError: A label is another.
    """
    for block in blocks:
        if known is not None:
            low, high = (int(extreme) for extreme in block.labels.long().aminmax())
            if low not in known or high not in known:
                other = low if low not in known else high
                raise ValueError(
                    f"`batches` must have labels from 0 to {known[-1]}, since the model has {_outputs(known)}, but one "
                    f"is {other}: leave such images out, or name what stands for no label by "
                    f'loss=nn.CrossEntropyLoss(ignore_index={other}, reduction="none")'
                )
        yield block


def in_mean_weight(task: Task, batches: Iterable[Any]) -> Task:
    """The task with losses in units of the mean class weight over all images, so that their mean is torch's.

    Torch divides the sum of weighted losses by the sum of weights, Σ w·l/Σ w, where a plain mean divides by the number
    of images. Without class weights nothing changes.

    Raises:
        ValueError: The batches can be gone through only once.
    """
    if not has_class_weights(task.loss):
        return task
    if isinstance(batches, Iterator):
        raise ValueError(
            "`batches` must be a list or a DataLoader, not an iterator, since `loss` has class weights: "
            "their mean over all labels is needed before the first loss"
        )
    ignored, total, images = ignored_label(task.loss), 0.0, 0
    for _, labels in batches:
        if is_class_indices(labels):
            weights = class_weight(task.loss, labels[labels != ignored])
            total, images = total + weights.sum().item(), images + len(weights)
    if not total > 0:
        return task
    _log.warning(
        "`loss` has class weights: losses are divided by %.6g, the mean weight of the labels, so that their mean is "
        "torch's weighted mean",
        total / images,
    )
    return replace(task, mean_weight=total / images)


def _outputs(known: range) -> str:
    return f"{len(known)} classes" if len(known) > 2 else "one logit or two"


def _described(part: Any) -> str:
    if not isinstance(part, Tensor):
        return type(part).__name__
    return f"{str(part.dtype).removeprefix('torch.')} ({', '.join(map(str, ['N', *part.shape[1:]]))})"


def _check_default_loss(output: Any, labels: Any, task: Task) -> None:
    if ignored_label(task.loss) is None:
        return
    ours = task.loss in (cross_entropy, nll)
    if not ours and not isinstance(output, Tensor):
        raise ValueError(
            f"`loss` takes a tensor, but the model gives {type(output).__name__}: give `forward`, such as "
            "forward=lambda model, inputs: model(inputs).logits"
        )
    logits = logits_of(output)
    if is_single(logits):
        raise ValueError(
            f"`loss` is a cross-entropy over one class, for outputs {tuple(logits.shape)}, which is 0 whatever the "
            "network answers: give another `loss`, such as gradscape.landscape.bce_with_logits for a single logit"
        )
    if task.loss is cross_entropy:
        _check_logits(logits)
    if logits.dim() == 2 and not is_class_indices(labels):
        _check_probabilities(labels, logits)


def _check_logits(logits: Tensor) -> None:
    sums = logits.sum(dim=1)
    if bool((logits >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), rtol=0.0, atol=1e-3):
        raise ValueError(
            "`loss` is a cross-entropy, which takes logits, but the model gives probabilities: give loss=lambda "
            "output, labels: gradscape.landscape.nll(output.log(), labels), or, if it was trained with a softmax of "
            'its softmax, loss=nn.CrossEntropyLoss(reduction="none")'
        )


def _check_probabilities(labels: Any, logits: Tensor) -> None:
    found = _described(labels)
    if not isinstance(labels, Tensor) or labels.shape != logits.shape or not labels.is_floating_point():
        raise ValueError(
            f"`loss` is a cross-entropy, which takes class indices (N) or probabilities (N, {logits.shape[1]}) as "
            f"labels, but they are {found}: give the `loss` that belongs to them"
        )
    sums = labels.sum(dim=1)
    if not torch.allclose(sums, torch.ones_like(sums), rtol=0.0, atol=1e-3):
        raise ValueError(
            f"`loss` is a cross-entropy, whose labels {found} must be probabilities, but they do not sum to 1: "
            "give another `loss`, such as gradscape.landscape.bce_with_logits for several labels an image"
        )


def _class_indices(output: Any, labels: Any, task: Task) -> range | None:
    """Which labels there can be, where loss or metric take them for class indices."""
    if task.metric is not top1 and ignored_label(task.loss) is None:
        return None
    if not is_class_indices(labels):
        return None
    logits = logits_of(output)
    return range(2) if is_single(logits) else range(logits.shape[1])


def _check_default_metric(output: Any, block: Block, task: Task) -> None:
    if task.metric is not top1:
        return
    logits, labels = logits_of(output), block.labels
    found = _described(labels)
    if not isinstance(labels, Tensor) or logits.dim() > 2:
        raise ValueError(
            f"`metric` is the top-1 error, which takes outputs (N, C) and labels (N), but they are "
            f"{_described(logits)} and {found}: {_OTHER_METRIC}"
        )
    if is_single(logits):
        if labels.numel() != len(logits) or not bool(((labels == 0) | (labels == 1)).all()):
            raise ValueError(
                f"`metric` is right or wrong of a single logit, which takes labels 0 and 1, one an image, but they are "
                f"{found}: {_OTHER_METRIC}"
            )
        if not _parts_at_zero(output, block, task):
            raise ValueError(
                "`metric` must be told for one output an image, since at 0 the `loss` does not change sides between "
                "the labels 0 and 1: give metric=gradscape.landscape.binary if an output above 0 means 1, a `metric` "
                "with another threshold, or metric=None"
            )
    elif not is_class_indices(labels):
        raise ValueError(
            f"`metric` is the top-1 error, which takes one class index an image as labels, but they are {found}: "
            f"{_OTHER_METRIC}"
        )


def _parts_at_zero(output: Any, block: Block, task: Task) -> bool:
    """Whether the loss is on the side of label 1 above 0, and on that of label 0 below."""
    labels, single = block.labels, logits_of(output)
    other = ~labels if labels.dtype == torch.bool else 1 - labels
    lossy = replace(task, metric=None)

    def losses(sign: float, wanted: Tensor) -> Tensor:
        toward = sign * (2 * labels.to(single.dtype) - 1).reshape(single.shape)
        put = map_tensors(lambda tensor: toward if tensor is single else tensor, output)
        return judge(put, wanted, block.count, lossy)[0]

    # First at 0 alone: there probabilities are still probabilities, so that no loss of theirs fails.
    middle = losses(0.0, labels)
    if not torch.allclose(middle, losses(0.0, other), rtol=1e-5, atol=0.0):
        return False
    return bool((losses(1.0, labels) < losses(-1.0, labels)).all())


def _check_missing(losses: Tensor, labels: Any) -> None:
    for tensor in tensors_in(labels):
        missing = tensor.isnan().reshape(len(tensor), -1).any(dim=1)
        if bool(losses[missing].isnan().any()):
            raise ValueError(
                f"`batches` have labels that are NaN, the first of image {int(missing.nonzero()[0])}, and so is their "
                "loss: leave these images out, or give a `loss` that leaves out what is NaN"
            )


def _check_left_out(output: Any, losses: Tensor, block: Block, task: Task) -> None:
    """Refuse a loss that stays 0 for the images of some class index: it leaves out what a mean over images counts."""
    if ignored_label(task.loss) is not None or not is_class_indices(block.labels) or not isinstance(output, Tensor):
        return
    if output.dim() < 2 or not bool((losses == 0).any()) or bool((losses == 0).all()):
        return
    # A sure network may have a loss of 0, too, but not with each class's logit given to the next class.
    turned = output.roll(1, dims=1)
    again = judge(turned, block.labels, block.count, replace(task, metric=None))[0]
    silent = (losses == 0) & (again == 0) & (turned != output).flatten(1).any(dim=1)
    for label in block.labels[silent].unique().tolist():
        if bool(silent[block.labels == label].all()):
            raise ValueError(
                f"`loss` ignores the images labelled {label}: it is 0 whatever the network answers, and would count as "
                f'0 in the mean. Give loss=nn.CrossEntropyLoss(ignore_index={label}, reduction="none"), with which '
                "they do not count, or leave them out of `batches`"
            )


def _check_companions(model: nn.Module, losses: Tensor, block: Block, task: Task) -> None:
    half = block.part(0, (block.count + 1) // 2)
    alone, _ = judge(task.forward(model, half.inputs), half.labels, half.count, replace(task, metric=None))
    if not same_output(losses[: half.count], alone, _COMPANIONS):
        raise ValueError(
            "`loss` must judge each image by itself, but that of an image depends on the others in its batch: is there "
            "a mean over the batch, or a number that the model computes over all images?"
        )
