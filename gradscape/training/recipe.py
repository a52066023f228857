"""How to train: optimizer, schedule and augmentation, as plain numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

__all__ = ["Optimizer", "Recipe", "Schedule", "StoppingMetric", "TrainingLoss", "Triple", "check_choices"]

Optimizer = Literal["sgd", "adam"]
Schedule = Literal["cosine", "steps", "exponential", "constant"]
StoppingMetric = Literal["test_accuracy", "train_accuracy"]
TrainingLoss = Literal["cross_entropy", "focal", "ohem", "detection_loss", "pixel_cross_entropy"]
Triple = tuple[float, float, float]

_CHOICES = {
    "optimizer": Optimizer,
    "schedule": Schedule,
    "early_stopping_metric": StoppingMetric,
    "loss": TrainingLoss,
}
_SWITCHES = ("nesterov", "horizontal_flip", "resized_crop")
# Whole numbers and the least of each.
_COUNTS = {
    "epochs": 1,
    "batch_size": 2,
    "learning_rate_batch": 1,
    "warmup_epochs": 0,
    "crop_padding": 0,
    "early_stopping_patience": 1,
    "seeds": 1,
}
_NOT_OF_PLACES = {"crop_padding": 0, "shift": 0.0, "resized_crop": False, "early_stopping_metric": "test_accuracy"}
_OPTIONAL = ("learning_rate_batch", "early_stopping_patience")
_POSITIVE = {"learning_rate": 0.1, "factor": 0.1}
# Each from 0 to below its bound.
_BOUNDS = {"momentum": 1, "weight_decay": math.inf, "decay_per_step": math.inf, "shift": 1, "validation_share": 1}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Epochs of an optimizer along a schedule, on randomly changed images.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        optimizer: "sgd", or "adam" with Keras' second moment 0.999 and epsilon 1e-7.
        learning_rate: At the beginning, after the warm-up.
        learning_rate_batch: The batch size that `learning_rate` is meant for: with another it changes in proportion.
            None: it is meant for any.
        momentum: Of stochastic gradient descent; Adam's first moment.
        nesterov: Whether stochastic gradient descent looks ahead along its momentum.
        weight_decay: Times the parameter, added to every parameter's gradient (biases and batch norm too).
        schedule: "cosine" (half of one, down to 0 after the last epoch), "steps" (times `factor` at each milestone),
            "exponential" (times `factor` after every epoch) or "constant".
        milestones: Epochs, counted from 0, that begin with another learning rate; for "steps".
        factor: Of "steps" and "exponential".
        decay_per_step: d: at step t, counted from 0 since the first epoch, the learning rate is divided by 1 + d t.
        warmup_epochs: First epochs, in which the learning rate rises by equal parts to its full height.
        crop_padding: Black pixels added on each side before a crop of the old size at a random place; 0 for no crop.
        shift: Largest random displacement, up or down and left or right, as a part of the side; not in whole pixels,
            but bilinear between them. The pixels at the edge are repeated.
        resized_crop: Whether a random part, 8 to 100 percent of the image and up to 4:3 or 3:4, is resized to the
            image's size: of the whole image where the training images have it (`Split.dataset.whole`).
        horizontal_flip: Whether every second image, at random, is mirrored.
        mean: Of each channel, subtracted from the images; None for the data's own.
        std: Of each channel, which the images are divided by; None for the data's own.
        validation_share: Part of the training images that is held out, by seed: not trained with, only evaluated.
        early_stopping_patience: Stop after so many epochs without a higher accuracy; None for never.
        early_stopping_metric: The accuracy: "test_accuracy" (of detectors and segmenters their test score), or
            "train_accuracy" of a classifier's training steps.
        loss: What a step lowers: the mean over its images of their "cross_entropy" or "focal" loss, or "ohem", the mean
            cross-entropy of the half of them for which it is highest. Of detectors "detection_loss", the sum of their
            own; of segmenters "pixel_cross_entropy", the mean cross-entropy of an image's pixels.
        seeds: How many runs the paper reports of.
    """

    epochs: int
    batch_size: int = 100
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.1
    learning_rate_batch: int | None = None
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    schedule: Schedule = "cosine"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    decay_per_step: float = 0.0
    warmup_epochs: int = 0
    crop_padding: int = 4
    shift: float = 0.0
    resized_crop: bool = False
    horizontal_flip: bool = True
    mean: Triple | None = None
    std: Triple | None = None
    validation_share: float = 0.0
    early_stopping_patience: int | None = None
    early_stopping_metric: StoppingMetric = "test_accuracy"
    loss: TrainingLoss = "cross_entropy"
    seeds: int = 1

    def __post_init__(self) -> None:
        check_choices({name: getattr(self, name) for name in _CHOICES})
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"`{name}` must be True or False, got {getattr(self, name)!r}; change the recipe")
        self._check_numbers()
        self._check_steps()
        self._check_normalization()
        self._check_kind()
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ValueError(
                f"`nesterov` must be False without sgd and a momentum, got {self.optimizer} with momentum "
                f"{self.momentum:g}; change the recipe"
            )

    def learning_rate_at(self, epoch: int, step: int = 0) -> float:
        r"""Learning rate of a step: \(\eta\,\frac{N}{N_0}\,\frac{s(t)}{1 + d\,k}\).

        Here \(\eta\) is `learning_rate`, \(N\) and \(N_0\) are `batch_size` and `learning_rate_batch`, \(d\) is
        `decay_per_step`, and the schedule \(s\) is, with T = `epochs` and f = `factor`, both T and t counted from the
        end of the warm-up: \((1 + \cos(\pi\,t / T)) / 2\) for "cosine", \(f^t\) for "exponential", \(f^m\) for "steps"
        after m milestones.

        Args:
            epoch: From 0 to `epochs` − 1.
            step: k, the steps taken since the first epoch began.

        Returns:
            The learning rate.

        Source:
            Loshchilov and Hutter, 2017, SGDR (arXiv 1608.03983), equation 5, without restarts. Goyal et al., 2017
            (arXiv 1706.02677), sections 2.1 and 2.2, for proportion and warm-up, here epoch by epoch.
        """
        proportion = self.batch_size / self.learning_rate_batch if self.learning_rate_batch else 1
        return self.learning_rate * proportion * self._schedule_at(epoch) / (1 + self.decay_per_step * step)

    def _schedule_at(self, epoch: int) -> float:
        if epoch < self.warmup_epochs:
            return (epoch + 1) / self.warmup_epochs
        elapsed = epoch - self.warmup_epochs
        match self.schedule:
            case "cosine":
                return (1 + math.cos(math.pi * elapsed / (self.epochs - self.warmup_epochs))) / 2
            case "steps":
                return self.factor ** sum(epoch >= milestone for milestone in self.milestones)
            case "exponential":
                return self.factor**elapsed
            case "constant":
                return 1.0

    def _check_numbers(self) -> None:
        for name, minimum in _COUNTS.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"`{name}` must be a whole number, got {value!r}; change the recipe")
            if value < minimum:
                raise ValueError(f"`{name}` must be at least {minimum}, got {value}; change the recipe")
        for name, example in _POSITIVE.items():
            if not 0 < _number(name, getattr(self, name)) < math.inf:
                raise ValueError(f"`{name}` must be finite and above 0, got {getattr(self, name)}; try {example}")
        for name, bound in _BOUNDS.items():
            if not 0 <= _number(name, getattr(self, name)) < bound:
                limits = "finite and at least 0" if bound == math.inf else f"at least 0 and below {bound}"
                raise ValueError(f"`{name}` must be {limits}, got {getattr(self, name)}; change the recipe")

    def _check_steps(self) -> None:
        milestones: object = self.milestones
        if not (
            isinstance(milestones, tuple)
            and all(isinstance(epoch, int) for epoch in milestones)
            and all(early < late for early, late in pairwise((0, *milestones)))
        ):
            raise ValueError(f"`milestones` must be a tuple of rising epochs above 0, got {milestones!r}")
        if bool(milestones) != (self.schedule == "steps"):
            raise ValueError(
                f"`milestones` must be given for the schedule steps and for no other, got {milestones} for "
                f"{self.schedule}; change the recipe"
            )

    @property
    def of_places(self) -> bool:
        """Whether labels say what lies where in an image, boxes or a class for each pixel, and move along with it."""
        return self.loss in ("detection_loss", "pixel_cross_entropy")

    def _check_kind(self) -> None:
        if not self.of_places:
            return
        for name, off in _NOT_OF_PLACES.items():
            if getattr(self, name) != off:
                raise ValueError(
                    f"`{name}` must be {off} for the loss {self.loss}, which needs what lies where in the image, got "
                    f"{getattr(self, name)}; take a recipe for such networks"
                )

    def _check_normalization(self) -> None:
        if (self.mean is None) != (self.std is None):
            raise ValueError("`mean` and `std` must both be given or both be None; change the recipe")
        for name, least in (("mean", -math.inf), ("std", 0)):
            values = getattr(self, name)
            if values is not None and not (
                len(values) == 3 and all(least < _number(name, value) < math.inf for value in values)
            ):
                limits = " above 0" if name == "std" else ""
                raise ValueError(f"`{name}` must be three finite numbers{limits}, got {values}; change the recipe")


def _number(name: str, value: object) -> float:
    """The value, if it is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"`{name}` must be a number, got {value!r}; change the recipe")
    return float(value)


def check_choices(fields: Mapping[str, object]) -> None:
    """Refuse words that a recipe does not know.

    Args:
        fields: Fields of a recipe with their values; those that are no choice between words are left alone.

    Raises:
        ValueError: A value is none of its field's.
    """
    for name in _CHOICES.keys() & fields.keys():
        known = get_args(_CHOICES[name])
        if fields[name] not in known:
            raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {fields[name]!r}; change the recipe")
