"""Networks evaluated on a split: scores with intervals, differences on the same images, and what they confuse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import final

import torch
from torch import Tensor

from gradscape._digest import TensorDigest, digest_model
from gradscape._intervals import ConfidenceInterval, joint_level
from gradscape._names import class_label
from gradscape._provenance import CHANCE, Provenance, current_versions
from gradscape._taps import binds_images
from gradscape.data import Split
from gradscape.models import Classifier
from gradscape.studies.answer_scores import COMPARED, AnswerDifference, differ, score_answers
from gradscape.studies.calibration import BINS
from gradscape.studies.chance import is_no_better_than_chance
from gradscape.studies.differences import describe_together, tell_verdicts
from gradscape.studies.image_answers import ImageAnswers, answer_images
from gradscape.studies.image_records import record_test, was_trained_with
from gradscape.studies.networks import check_classes
from gradscape.studies.tested_images import describe_test

__all__ = ["CALLED", "SEEN", "TEST", "TOGETHER", "Evaluation", "compare_answers", "evaluate_networks"]

TEST = "test"
"""Entry of the answers' provenance: which images these are, as `record_test` says it."""

SEEN = "trained_with"
"""Entry of the answers' provenance: the network was trained with these images, or some of them."""

TOGETHER = "images_at_once"
"""Entry of the answers' provenance: how many images a network that weighs them against each other was given at once."""

CALLED = {"loss": "loss", "top1": "top-1", "top5": "top-5", "calibration_error": "calibration error"}
"""What people call each score."""


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """Networks on the same images.

    Attributes:
        answers: Network -> its answers.
        scores: Network -> score -> its value with an interval over images.
        differences: Every pair of networks in top-1 and loss.
        confidence: Coverage of each interval in `scores`, and of all those in `differences` together.
    """

    answers: Mapping[str, ImageAnswers]
    scores: Mapping[str, Mapping[str, ConfidenceInterval]]
    differences: Sequence[AnswerDifference]
    confidence: float

    @property
    def images(self) -> str:
        """Which images these are, in words; "" where the answers do not tell."""
        about = next(iter(self.answers.values())).meta.get(TEST)
        return describe_test(about) if about else ""

    @property
    def remarks(self) -> list[str]:
        """What must be known to read the numbers."""
        found = {score: one for scores in self.scores.values() for score, one in scores.items()}
        told = ", ".join(f"{CALLED[score]} {one.method.removesuffix(' over images')}" for score, one in found.items())
        lines = [self.images] if self.images else []
        lines.append(
            f"{100 * self.confidence:g} % intervals over images: {told}; calibration errors are of {BINS} bins"
        )
        if broken := {name: int((~one.finite).sum()) for name, one in self.answers.items() if not one.finite.all()}:
            counts = ", ".join(f"{count:,} of {len(self.answers[name]):,} by {name}" for name, count in broken.items())
            lines.append(f"answers that are not finite: {counts}; they are wrong, and left out of loss and calibration")
        together: dict[int, list[str]] = {}
        for name, one in self.answers.items():
            if TOGETHER in one.meta:
                together.setdefault(int(one.meta[TOGETHER]), []).append(name)
        lines += [_together(names, size) for size, names in together.items()]
        if seen := [name for name, one in self.answers.items() if SEEN in one.meta]:
            lines.append(f"no test of {', '.join(seen)}, trained with these images or some of them")
        if guessing := [name for name, one in self.answers.items() if CHANCE in one.meta]:
            lines.append(f"answers no better than chance: {', '.join(guessing)}")
        lines += tell_verdicts([one.verdict for one in self.differences])[1]
        if self.differences:
            lines.append(describe_together(len(self.differences), confidence=self.confidence, paired="images"))
        return lines


def evaluate_networks(
    models: Mapping[str, Classifier],
    split: Split,
    *,
    confidence: float = 0.95,
    seed: int = 0,
    report: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Evaluate networks in one pass over the images, which all of them share.

    Args:
        models: By the name that tables and pictures take.
        split: The images; `load_split` gives them.
        confidence: Coverage of the intervals.
        seed: Of the bootstrap.
        report: Called after every batch with the images done, and all.

    Raises:
        ValueError: The images are of other classes than a network's, or a network gives no logits.

    Example:
        >>> from gradscape.data import load_split
        >>> from gradscape.models import create_model, load_checkpoint, save_checkpoint
        >>> about = {"name": "resnet20", "num_classes": 10, "image_size": 16, "mean": (0.5,) * 3, "std": (0.25,) * 3}
        >>> save_checkpoint("net.safetensors", create_model("resnet20"), **about)
        >>> models, split = {"net": load_checkpoint("net.safetensors")}, load_split("digits", "test", limit=50)
        >>> list(evaluate_networks(models, split).scores["net"])
        ['loss', 'top1', 'top5', 'calibration_error']
    """
    check_classes(models, split)
    digest, done = _digest_of(split), 0

    def watch(images: Tensor, _: Tensor) -> None:
        nonlocal done
        digest.add(images)
        done += len(images)
        if report is not None:
            report(done, split.num_images)

    answers = answer_images(models, split, classes=_class_names(models, split), watch=watch)
    shown = {"image_digest": digest.text, "seed": seed}
    told = {
        name: replace(one, meta={**_provenance(name, models[name], split, one), **shown})
        for name, one in answers.items()
    }
    return compare_answers(told, confidence=confidence, seed=seed)


def compare_answers(answers: Mapping[str, ImageAnswers], *, confidence: float = 0.95, seed: int = 0) -> Evaluation:
    """Score networks by their answers, which may have been saved before, and compare every two image by image.

    Args:
        answers: By network, to the same images.
        confidence: Coverage of each interval of a score, and of all those of differences together.
        seed: Of the bootstrap.

    Raises:
        ValueError: There are none, or they are not to the same images.

    Source: Dunn 1961 (Bonferroni intervals).
    """
    if not answers:
        raise ValueError("`answers` must hold those of at least one network")
    if len({(one.meta.get("image_digest"), one.labels.tobytes()) for one in answers.values()}) > 1:
        raise ValueError(
            "`answers` must all be to the same images, and are to different ones: evaluate the networks on one `data`, "
            "with one `limit` and `seed`"
        )
    pairs = list(combinations(answers.items(), 2))
    level = joint_level(confidence, len(pairs) * len(COMPARED))
    return Evaluation(
        answers,
        {name: score_answers(one, confidence=confidence, seed=seed) for name, one in answers.items()},
        [differ(score, pair, confidence=level) for score in COMPARED for pair in pairs],
        confidence,
    )


def _together(names: Sequence[str], size: int) -> str:
    several = len(names) > 1
    return (
        f"{', '.join(names)} {'weigh' if several else 'weighs'} the images of a batch against each other: scores are "
        f"those of {size} at once, in the data's order, and of other batches may be others; --batch-size"
    )


def _provenance(name: str, model: Classifier, split: Split, answers: ImageAnswers) -> Provenance:
    right, told = int(answers.right.sum()), max(2, model.meta["num_classes"])
    guesses = is_no_better_than_chance(name, right, len(answers), classes=told, data=split.name)
    return Provenance(
        model=model.meta["name"],
        title=name,
        weights=digest_model(model),
        data=split.name,
        split=split.split,
        images=split.num_images,
        population=split.population,
        versions=current_versions(),
        others={
            TEST: record_test(split),
            "batch_size": split.batch_size,
            **({TOGETHER: split.batch_size} if binds_images(model) else {}),
            **({SEEN: True} if was_trained_with(model.meta, split) else {}),
            **({CHANCE: [name]} if guesses else {}),
            **({"checkpoint": model.path} if model.path else {}),
        },
    )


def _digest_of(split: Split) -> TensorDigest:
    """The digest of the images as one batch, to which they are still to be added."""
    size, digest = split.image_size, TensorDigest()
    digest.begin("images", torch.float32, (split.num_images, 3, *((size, size) if isinstance(size, int) else size)))
    return digest


def _class_names(models: Mapping[str, Classifier], split: Split) -> tuple[str, ...]:
    """Those of the data, or where these only number their classes, those of a network that has as many."""
    count = len(split.classes)
    if split.named:
        return tuple(split.classes)
    known = (model.labels for model in models.values() if model.labels and max(2, len(model.labels)) == count)
    labels = next(known, None)
    return tuple(class_label(labels, index) or str(index) for index in range(count))
