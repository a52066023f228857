"""What a classifier's numbers are: logits or probabilities, of classes that exclude each other or of free labels.

A softmax over probabilities gives a plausible wrong number, and over one logit always 1. So the kind is said by
`outputs`, or measured: by the operation that the numbers come from, as the graph of autograd names it, and by the
numbers themselves.
"""

import logging
import re
from typing import Final, Literal, final, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from gradscape._names import unknown_name

__all__ = ["OutputKind", "class_probabilities", "find_output_kind"]

OutputKind = Literal["logits", "probabilities", "log_probabilities", "multi_label_logits", "multi_label_probabilities"]
"""Multi-label is what gives each class a probability of its own, whatever the others have."""

_log = logging.getLogger(__name__)

# What moves, averages, weighs or bounds numbers, so that what they are was decided before.
_PASSING = {
    *("Add", "Alias", "Cat", "Clamp", "Clone", "Div", "Expand", "Index", "Mean", "Mul", "Neg", "Permute", "Reshape"),
    *("ReshapeAlias", "Rsub", "Select", "Slice", "Split", "Squeeze", "Stack", "Sub", "Sum", "T", "ToCopy"),
    *("Transpose", "Unbind", "UnsafeView", "Unsqueeze", "View"),
}
# What can give any number, or any that is not negative, and so logits that lie in [0, 1] by chance.
_UNBOUNDED = {
    *("AdaptiveAvgPool2D", "Addmm", "AddmmActivation", "AvgPool2D", "Baddbmm", "Bmm", "Convolution", "Linear", "Mm"),
    *("Mv", "MkldnnConvolution", "NativeBatchNorm", "NativeLayerNorm", "Relu"),
}
_SOFTMAXES = {"Softmax", "LogSoftmax"}
_SIGMOIDS = {"Sigmoid", "Hardsigmoid"}
_VERSION = re.compile(r"Backward\d*$")
_EXACT, _ROUNDED = 1e-5, 1e-2  # how far from 1 a sum may be: without a sign of softmax, and with one
_MEANING: Final[dict[OutputKind, str]] = {
    "logits": "one number for each image, taken for the logit of class 1 against class 0 (probability by sigmoid); "
    "where it is another number, such as a regression's, give `score`",
    "probabilities": "probabilities, which are shown as they are, without another softmax",
    "log_probabilities": "logarithms of probabilities, of which exp is shown",
    "multi_label_probabilities": "each class a probability of its own (multi-label), shown as it is, without a softmax",
}


def find_output_kind(output: Float[Tensor, "batch classes"], stated: OutputKind | None = None) -> OutputKind:
    """Return what the numbers of a model's output are, as stated or as measured.

    Measured: rows in [0, 1] that sum to 1 are probabilities; rows in [0, 1] that come out of a sigmoid are
    multi-label; rows whose exponentials sum to 1 are logarithms of probabilities; all else are logits. Rows of a last
    linear layer are logits although they sum to 1, as long as there is only one of them.

    Args:
        output: Of the model, with its graph where there is one.
        stated: What the user says that it is; None to measure.

    Raises:
        ValueError: The stated kind is unknown or contradicts the numbers, or the model ends in a softmax over one
            class, or in a softmax or a log-sigmoid whose rows are no probabilities of classes.
    """
    if stated is not None and stated not in get_args(OutputKind):
        raise unknown_name("outputs", stated, get_args(OutputKind))
    measured = _MeasuredOutput(output)
    if stated is not None:
        measured.check(stated)
        return stated
    kind = measured.kind()
    if kind != "logits" or output.shape[1] == 1:
        _log.warning("`model` gives %s; say so, or otherwise, with `outputs`", _MEANING[kind])
    elif measured.doubtful:
        _log.warning(
            "`model` gives numbers that all lie in [0, 1], which are taken for logits, so that a softmax makes "
            "probabilities of them; if they are probabilities themselves, say so with `outputs`"
        )
    return kind


def class_probabilities(output: Float[Tensor, "batch classes"], kind: OutputKind) -> Float[Tensor, "batch classes"]:
    """Return the probability of each class, float32.

    Args:
        output: At least two classes; one logit, z, is those of two: −z and z, each a label of its own.
        kind: What the numbers are.
    """
    numbers = output.detach().float()
    if kind == "logits":
        return numbers.softmax(1)
    if kind == "multi_label_logits":
        return numbers.sigmoid()
    return numbers.exp() if kind == "log_probabilities" else numbers


@final
class _MeasuredOutput:
    """What an output's graph and numbers tell."""

    def __init__(self, output: Tensor) -> None:
        self.last = _last_operations(output)
        self.classes = output.shape[1]
        values = output.detach().float()
        self.rows = values[values.isfinite().all(1)]
        self.rounding = 4 * torch.finfo(output.dtype).eps
        self.inside = len(self.rows) > 0 and bool(((self.rows >= 0) & (self.rows <= 1 + self.rounding)).all())
        self.negative = len(self.rows) > 0 and bool((self.rows <= self.rounding).all())

    @property
    def doubtful(self) -> bool:
        """Whether logits could be probabilities just as well."""
        return self.inside and not self._ends_in(_UNBOUNDED)

    def kind(self) -> OutputKind:
        """The kind, where it can be told.

        Raises:
            ValueError: It cannot, although the graph shows that these are no logits.
        """
        if self.classes == 1 and self._ends_in(_SOFTMAXES):
            raise ValueError(
                "`model` ends in a softmax over one class, which is 1 for every image: there is nothing to explain; "
                "leave the softmax out, and the number before it is a logit"
            )
        if self.last == {"LogSigmoid"}:
            raise ValueError(
                "`model` ends in a log-sigmoid, which is neither logits nor logarithms of probabilities that sum to "
                "1: say with `score` which number of each image to explain"
            )
        if self.inside and self._sums_to_one(self.rows):
            return "probabilities"
        if self.negative and self._sums_to_one(self.rows.exp()):
            return "log_probabilities"
        if self.inside and self.last == {"Softmax"}:
            raise ValueError(
                "`model` ends in a softmax, but not over the classes, since its rows do not sum to 1: if each number "
                'is a probability all the same, say outputs="multi_label_probabilities"'
            )
        if self.inside and self._ends_in(_SIGMOIDS):
            return "probabilities" if self.classes == 1 else "multi_label_probabilities"
        return "logits"

    def check(self, stated: OutputKind) -> None:
        """Refuse what the numbers, or the last operation, contradict."""
        if not len(self.rows):
            return
        low, high = float(self.rows.min()), float(self.rows.max())
        reason = ""
        if stated in ("probabilities", "multi_label_probabilities") and not self.inside:
            reason = f"the numbers are from {low:.4g} to {high:.4g}, not from 0 to 1"
        elif stated == "probabilities" and self.classes > 1 and not _near_one(self.rows, _ROUNDED):
            reason = "the classes' numbers do not sum to 1"
        elif stated == "log_probabilities" and not _near_one(self.rows.exp(), _ROUNDED):
            reason = "the exponentials of the classes' numbers do not sum to 1"
        elif stated.startswith("multi_label") and self._ends_in(_SOFTMAXES) and self._excludes():
            reason = "the classes exclude each other, since it ends in a softmax"
        elif stated.endswith("logits") and self.inside and self._ends_in({"Softmax", *_SIGMOIDS}):
            reason = "the numbers come out of a softmax or sigmoid"
        if reason:
            raise ValueError(f'`outputs` says "{stated}", but of what `model` gives {reason}; say another, or None')

    def _ends_in(self, operations: set[str]) -> bool:
        return bool(self.last) and self.last <= operations

    def _excludes(self) -> bool:
        return _near_one(self.rows if self.inside else self.rows.exp(), _ROUNDED)

    def _sums_to_one(self, rows: Tensor) -> bool:
        if self.classes == 1:
            return False
        if self._ends_in(_SOFTMAXES):
            return _near_one(rows, _ROUNDED)
        # A row of logits may sum to 1 by chance, several different ones do not.
        alone = self._ends_in(_UNBOUNDED) and bool((rows == rows[0]).all())
        return not alone and _near_one(rows, max(_EXACT, self.rounding))


def _near_one(rows: Tensor, tolerance: float) -> bool:
    return bool(((rows.sum(1) - 1).abs() <= tolerance).all())


def _last_operations(output: Tensor) -> set[str]:
    """Names of the operations that made the numbers what they are; empty where nothing was recorded."""
    found: set[str] = set()
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = _VERSION.sub("", node.name())
        if name in _PASSING:
            waiting += [before for before, _ in node.next_functions]
        else:
            found.add(name)
    return found
