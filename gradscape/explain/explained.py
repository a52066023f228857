"""What is explained: one number for each image."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape._names import class_label, unknown_name
from gradscape.explain.logits import logits_in
from gradscape.explain.output_kind import OutputKind, class_probabilities, find_output_kind

__all__ = ["ClassIndex", "Explained", "NothingFoundError", "Score", "class_number", "own_class", "pick_scores"]

ClassIndex = int | np.integer | str | Sequence[int | np.integer | str] | np.ndarray | Tensor
"""A class by number or name, for all images or for each one."""

Score = Callable[[Any], Tensor]
"""From a model's output to one number for each image, (N,)."""


@final
class NothingFoundError(ValueError):
    """There is nothing in a picture of what shall be explained."""


@dataclass(frozen=True, eq=False)
class Explained:
    """The explained number of each of N images.

    Attributes:
        scores: (N,), with the graph that leads back into the model.
        class_index: (N,) int64, the explained class; -1 where a score of the user's is explained.
        probability: (N,) float32, probability of that class; NaN where a score of the user's is explained.
        outputs: What the model's numbers are; None where a score of the user's is explained.
    """

    scores: Tensor
    class_index: np.ndarray
    probability: np.ndarray
    outputs: OutputKind | None = None


def pick_scores(
    output: Any,
    *,
    class_index: ClassIndex | None = None,
    score: Score | None = None,
    labels: Sequence[str] | None = None,
    outputs: OutputKind | None = None,
) -> Explained:
    """Return the number to explain for each image: a class's logit, or what the user's function makes of the output.

    A model that gives one number for each image has two classes: the number speaks for class 1, and its negative, or
    what a probability lacks to 1, for class 0. Class 1 is predicted where its probability is above one half.

    Args:
        output: What the model returned: logits (N, C), something that holds them as `logits`, or anything that `score`
            can read.
        class_index: A class by number, or by name where there are labels; whole words do, in whatever case, that stand
            in one name alone. One for all images or one for each; None for the predicted class of each.
        score: From the output to (N,), for models of another kind: binary, regression, segmentation.
        labels: Names of the classes; for one number for each image also the name of class 1 alone.
        outputs: What the output's numbers are; None to measure it (`find_output_kind`).

    Raises:
        TypeError: If a class is neither number nor name, or `score` gives no float tensor.
        ValueError: If both are given, the output is not logits and there is no `score`, a class is unknown, out of
            range, or ambiguous, their count is not that of the images, `score` does not give one number an image, or
            `outputs` contradicts the numbers.
    """
    if score is not None:
        if class_index is not None:
            raise ValueError("`class_index` and `score` both say what to explain; give one of them")
        scores = _own_scores(score(output), _batch_size(output))
        count = len(scores)
        return Explained(scores, np.full(count, -1, np.int64), np.full(count, np.nan, np.float32))
    output = logits_in(output)
    if not isinstance(output, Tensor) or output.ndim != 2 or not output.is_floating_point():
        raise ValueError(
            f"`model` must give logits (images, classes), got {_described(output)}; "
            "say with `score` which number of each image to explain, such as score=lambda output: output[:, 0]"
        )
    found = kind = find_output_kind(output, outputs)
    if output.shape[1] == 1:
        output, kind = _both_classes(output, found)
        labels = labels and [class_label(labels, index) or str(index) for index in (0, 1)]
    chosen = _classes(class_index, output.detach(), labels)
    numbers = torch.from_numpy(chosen).to(output.device)[:, None]
    probability = class_probabilities(output, kind).gather(1, numbers)[:, 0]
    return Explained(output.gather(1, numbers)[:, 0], chosen, probability.cpu().numpy(), found)


def _both_classes(output: Tensor, kind: OutputKind) -> tuple[Tensor, OutputKind]:
    """The numbers of class 0 and class 1, (N, 2), from the one number that tells them apart, and what they are."""
    if kind.endswith("logits"):
        return torch.cat([-output, output], 1), "multi_label_logits"
    return torch.cat([1 - output, output], 1), kind


def _own_scores(scores: Any, count: int | None) -> Tensor:
    """The user's scores, checked."""
    if not isinstance(scores, Tensor) or not scores.is_floating_point():
        raise TypeError(f"`score` must give a float tensor with one number for each image, got {_described(scores)}")
    if scores.ndim != 1 or (count is not None and len(scores) != count):
        raise ValueError(
            f"`score` must give one number for each image, ({'images' if count is None else count},), "
            f"got the shape {tuple(scores.shape)}; reduce everything else, such as by .flatten(1).sum(1)"
        )
    return scores


def _batch_size(output: Any) -> int | None:
    """The number of images, where the output is a tensor and so tells it."""
    return len(output) if isinstance(output, Tensor) and output.ndim else None


def _classes(class_index: ClassIndex | None, logits: Tensor, labels: Sequence[str] | None) -> np.ndarray:
    """The class of each image, (N,) int64."""
    count, num_classes = logits.shape
    if class_index is None:
        return logits.argmax(1).cpu().numpy()
    asked: Any = class_index.tolist() if isinstance(class_index, np.ndarray | Tensor) else class_index
    if isinstance(asked, Sequence) and not isinstance(asked, str):
        if len(asked) != count:
            raise ValueError(f"`class_index` must hold one class for each of the {count} images, got {len(asked)}")
        each = list(asked)
    else:
        each = [asked] * count
    return np.array([class_number(one, num_classes, labels) for one in each], np.int64)


def class_number(asked: Any, num_classes: int, labels: Sequence[str] | None) -> int:
    """Return the number of a class that is asked for by number or name, as `pick_scores` takes one.

    Raises:
        TypeError: It is neither.
        ValueError: It is unknown, out of range or ambiguous.
    """
    if isinstance(asked, str):
        asked = _named_class(asked, labels)
    if isinstance(asked, bool) or not isinstance(asked, int | np.integer):
        raise TypeError(f"`class_index` must be a class's number or name, got {_described(asked)}")
    if not 0 <= asked < num_classes:
        raise ValueError(f"`class_index` must be in 0 … {num_classes - 1}, as the model has it, got {asked}")
    return int(asked)


def own_class(model: nn.Module, asked: int | str | None) -> int | None:
    """Return the number of a class of a loaded checkpoint; of another model what was asked for must be one.

    Args:
        model: Any model.
        asked: The class by number, or by name where the model has labels; None for none.

    Raises:
        TypeError: As `class_number`.
        ValueError: As `class_number`.
    """
    if asked is None:
        return None
    if isinstance(model, Classifier):
        return class_number(asked, model.meta["num_classes"], model.labels)
    return class_number(asked, sys.maxsize, None)


def _named_class(name: str, labels: Sequence[str] | None) -> int:
    if labels is None:
        raise ValueError(f"`class_index` {name!r} is a name, but the model has no labels; give the class's number")
    numbers = [number for number, label in enumerate(labels) if label == name]
    if not numbers:
        # Published names say more than people type: "tabby, tabby cat", "Bombycilla cedrorum (Cedar Waxwing)".
        words = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        numbers = [number for number, label in enumerate(labels) if name.strip() and words.search(label)]
        if len(numbers) != 1:
            raise unknown_name("class_index", name, labels)
    if len(numbers) > 1:
        raise ValueError(f"`class_index` {name!r} names the classes {', '.join(map(str, numbers))}; give a number")
    return numbers[0]


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a {value.dtype} tensor of the shape {tuple(value.shape)}"
    return f"{type(value).__name__} {value!r}" if isinstance(value, int | float) else type(value).__name__
