"""Whether labels, loss and metric fit what the network gives: found out on the first images, once."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn

from gradscape.landscape.engine.blocks import Block, is_class_indices, map_tensors, tensors_in
from gradscape.landscape.engine.logits import (
    bce_with_logits,
    class_weight,
    cross_entropy,
    focal,
    has_class_weights,
    ignored_label,
    is_single,
    logits_of,
    nll,
    top1,
)
from gradscape.landscape.engine.task import Task, gradients_explained, judged_by_role

__all__ = ["LaterLabels", "check_labels", "in_mean_weight"]

_OTHER_METRIC = "give metric=None, or as `metric` a function (output, labels) -> right or wrong per image"

_log = logging.getLogger(__name__)


def check_labels(model: nn.Module, block: Block, task: Task) -> "LaterLabels":
    """Refuse labels, a loss or a metric that do not fit the model's output.

    Args:
        model: In `eval()`, at the origin.
        block: The first images, on the model's device.
        task: What is measured.

    Returns:
        What this tells about the labels of later images.

    Raises:
        TypeError: The output holds no tensor.
        ValueError: As the message says, with the argument to give.
    """
    with gradients_explained("forward"):
        output = task.forward(model, block.inputs)
    if next(tensors_in(output), None) is None:
        raise TypeError(
            f"`model` must give tensors, but it gives {type(output).__name__}, in which none is found: "
            "give `forward`, (model, inputs) -> output, that takes them out"
        )
    # Before the loss is called: on a GPU a class index out of range ends the process.
    _check_default_loss(output, block.labels, task)
    known = _class_indices(output, block.labels, task)
    _check_known(block.labels, known)
    losses = _losses(output, block.labels, block.count, task)
    _check_default_metric(output, block, task)
    if task.metric is top1 and is_single(logits_of(output)):
        known = _sides(block.labels)
    _check_missing(losses, block.labels)
    return LaterLabels(known, _check_left_out(output, losses, block, task))


@final
class LaterLabels:
    """What the first images tell about the labels of later ones.

    Args:
        known: Which there can be, where they are class indices or sides; else None.
        left_out: Knows which class indices the loss leaves out; None where it cannot be asked.
    """

    def __init__(self, known: range | None, left_out: "_LeftOut | None") -> None:
        self._known, self._left_out = known, left_out

    def within(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The blocks, as long as their labels are known ones that the loss does not leave out.

        Raises:
            ValueError: A label is another.
        """
        for block in blocks:
            _check_known(block.labels, self._known)
            if self._left_out is not None:
                self._left_out.check_unseen(block.labels)
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


def _losses(output: Any, labels: Any, count: int, task: Task) -> Tensor:
    return judged_by_role(output, labels, count, replace(task, metric=None))["loss"]


def _described(part: Any) -> str:
    if not isinstance(part, Tensor):
        return type(part).__name__
    return f"{str(part.dtype).removeprefix('torch.')} ({', '.join(map(str, ['N', *part.shape[1:]]))})"


def _check_default_loss(output: Any, labels: Any, task: Task) -> None:
    if ignored_label(task.loss) is None:
        return
    ours = task.loss in (cross_entropy, focal, nll)
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
    if task.loss in (cross_entropy, focal):
        _check_logits(logits)
    if not is_class_indices(labels):
        _check_probabilities(labels, logits)
    elif logits.dim() > 2:
        raise ValueError(
            f"`loss` is a cross-entropy with one label an image, but the model gives {_described(logits)}: take out "
            "one prediction for each image by `forward`, or give another `loss`"
        )


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
    if isinstance(labels, Tensor) and labels.shape == (len(logits), *logits.shape[2:]) and labels.dim() > 1:
        return  # of pixels, of which another message says how they are reduced
    if not isinstance(labels, Tensor) or labels.shape != logits.shape or not labels.is_floating_point():
        raise ValueError(
            f"`loss` is a cross-entropy, which takes class indices (N) or probabilities (N, {logits.shape[1]}) as "
            f"labels, but they are {found} for outputs {_described(logits)}: give the `loss` that belongs to them"
        )
    sums = labels.sum(dim=1)
    if not torch.allclose(sums, torch.ones_like(sums), rtol=0.0, atol=1e-3):
        raise ValueError(
            f"`loss` is a cross-entropy, whose labels {found} must be probabilities, but they do not sum to 1: "
            "give another `loss`, such as gradscape.landscape.bce_with_logits for several labels an image"
        )


def _class_indices(output: Any, labels: Any, task: Task) -> range | None:
    """Which labels there can be, where loss or metric take them for class indices."""
    if not is_class_indices(labels) or (task.metric is not top1 and ignored_label(task.loss) is None):
        return None
    logits = logits_of(output)
    return None if is_single(logits) else range(logits.shape[1])


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
        sides = _sides(labels)
        if sides is None or labels.numel() != len(logits):
            raise ValueError(
                "`metric` is right or wrong of a single logit, which takes labels 0 and 1 (or −1 and 1), one an image, "
                f"but they are {found}: {_OTHER_METRIC}"
            )
        if not _parts_at_zero(output, block, sides, task):
            raise ValueError(
                "`metric` must be told for one output an image, since at 0 the `loss` does not change sides between "
                f"the labels {sides[0]} and 1: give metric=gradscape.landscape.binary if an output above 0 means 1, a "
                "`metric` with another threshold, or metric=None"
            )
    elif not is_class_indices(labels):
        raise ValueError(
            f"`metric` is the top-1 error, which takes one class index an image as labels, but they are {found}: "
            f"{_OTHER_METRIC}"
        )


def _sides(labels: Tensor) -> range | None:
    """The labels that the first images have one of: 0 and 1, or −1 and 1."""
    found = labels.unique().tolist()
    return next((sides for sides in (range(2), range(-1, 2, 2)) if all(one in sides for one in found)), None)


def _parts_at_zero(output: Any, block: Block, sides: range, task: Task) -> bool:
    """Whether the loss is on the side of label 1 above 0, and on that of the other label below."""
    if task.loss is bce_with_logits or isinstance(task.loss, nn.BCEWithLogitsLoss):
        return True  # by its definition, also where one side weighs more
    labels, single = block.labels, logits_of(output)
    other = ~labels if labels.dtype == torch.bool else sides[0] + 1 - labels

    def losses(sign: float, wanted: Tensor) -> Tensor:
        toward = sign * (2.0 * (labels == 1) - 1).to(single.dtype).reshape(single.shape)
        put = map_tensors(lambda tensor: toward if tensor is single else tensor, output)
        return _losses(put, wanted, block.count, task)

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


def _check_known(labels: Any, known: range | None) -> None:
    if known is not None and (others := [one for one in labels.unique().tolist() if one not in known]):
        raise ValueError(
            f"`batches` must have labels from {known[0]} to {known[-1]}, which are all that the model tells apart, "
            f"but one is {others[0]}: leave such images out, or name what stands for no label by "
            f'loss=nn.CrossEntropyLoss(ignore_index={others[0]}, reduction="none")'
        )


def _check_left_out(output: Any, losses: Tensor, block: Block, task: Task) -> "_LeftOut | None":
    """Refuse a loss that stays 0 for the images of some class index: it leaves out what a mean over images counts."""
    if ignored_label(task.loss) is not None or not is_class_indices(block.labels) or bool((losses == 0).all()):
        return None
    left_out = _LeftOut(output, block, task)
    if not left_out.can_ask:
        return None
    for label in block.labels[losses == 0].unique().tolist():
        if bool((losses[block.labels == label] == 0).all()):
            left_out.check(label)
    return left_out


@final
class _LeftOut:
    """Asks a loss whether it is 0 for a label whatever the network answers.

    Args:
        output: Of the first images.
        block: These.
        task: What is measured.

    Attributes:
        can_ask: Whether the output holds answers that can be exchanged.
    """

    def __init__(self, output: Any, block: Block, task: Task) -> None:
        self._output, self._block, self._task = output, block, task
        self._seen = set(block.labels.unique().tolist())
        self.can_ask = any(map(self._is_answer, tensors_in(output)))

    def check_unseen(self, labels: Tensor) -> None:
        """Refuse labels that the loss leaves out, of those that did not come before."""
        for label in set(labels.unique().tolist()) - self._seen:
            self._seen.add(label)
            self.check(label)

    def check(self, label: int) -> None:
        """Refuse a label that the loss leaves out."""
        if self._is_left_out(label):
            raise ValueError(
                f"`loss` ignores the images labelled {label}: it is 0 whatever the network answers, and would count as "
                f'0 in the mean. Give loss=nn.CrossEntropyLoss(ignore_index={label}, reduction="none"), with which '
                "they do not count, or leave them out of `batches`"
            )

    def _is_left_out(self, label: int) -> bool:
        labels = torch.full_like(self._block.labels, label)
        # A sure network may have a loss of 0, too, but not with each class's logit given to the next class; and what
        # compares classes or images by a margin may have 0 for both, but not where all are alike, nor for any answers.
        changes = (torch.clone, lambda tensor: tensor.roll(1, dims=1), torch.zeros_like, _any_answers)
        try:
            return all(bool((self._losses(change, labels) == 0).all()) for change in changes)
        except Exception:  # it may need what the last forward pass has left, which tells nothing
            return False

    def _losses(self, change: Callable[[Tensor], Tensor], labels: Tensor) -> Tensor:
        output = map_tensors(lambda tensor: change(tensor) if self._is_answer(tensor) else tensor, self._output)
        return _losses(output, labels, self._block.count, self._task)

    def _is_answer(self, tensor: Tensor) -> bool:
        return tensor.is_floating_point() and tensor.dim() > 1 and len(tensor) == self._block.count


def _any_answers(tensor: Tensor) -> Tensor:
    return torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0)).to(tensor)
