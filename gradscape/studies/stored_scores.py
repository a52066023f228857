"""Scores that an evaluation writes into the checkpoints of its networks, from where figures and reports take them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gradscape._checkpoint import amend_checkpoint
from gradscape._taps import binds_images
from gradscape.data import Split
from gradscape.models import Classifier
from gradscape.studies.evaluation import TEST, Evaluation
from gradscape.studies.image_records import was_trained_with

__all__ = ["check_storable", "store_scores"]

_KEPT = {
    "loss": "test_loss",
    "top1": "test_accuracy",
    "top5": "test_top5_accuracy",
    "calibration_error": "test_calibration_error",
}


def check_storable(models: Mapping[str, Classifier], split: Split) -> None:
    """Refuse to store scores of training images, as far as checkpoints tell, and scores that depend on the batches.

    Args:
        models: By name.
        split: What they are to be tested on.

    Raises:
        ValueError: These are the training images of a network, or hold them; or a network weighs the images of a batch
            against each other.
    """
    for name, model in models.items():
        if binds_images(model):
            raise ValueError(
                f"`store` keeps scores that hold for any batches, but {name} weighs the images of a batch against each "
                "other: evaluate it without `store`"
            )
        if was_trained_with(model.meta, split):
            raise ValueError(
                f"`store` keeps scores of a test, but {name} was trained with images of {split.name} "
                f"({split.split}): evaluate it on others, or without `store`"
            )


def store_scores(models: Mapping[str, Classifier], evaluation: Evaluation) -> list[str]:
    """Write what networks reached into the metadata of their checkpoints; weights stay as they are, to the byte.

    `scores` gets `test_accuracy`, `test_loss`, `test_top5_accuracy`, `test_calibration_error` and their `intervals`;
    what else it held stays. `test` says of which images they are; which images a training had been tested on stays as
    `training_test`.

    Args:
        models: Loaded from checkpoints, by the names that the evaluation has.
        evaluation: Of them.

    Returns:
        The checkpoints' paths, each once.

    Raises:
        ValueError: A model comes from no file.
        OSError: A file cannot be written.
    """
    if missing := [name for name, model in models.items() if model.path is None]:
        raise ValueError(f"`models` must come from checkpoints, but {', '.join(missing)} does not: save it first")
    for name, model in models.items():
        amend_checkpoint(str(model.path), **_entries(model, evaluation, name))
    return list(dict.fromkeys(str(model.path) for model in models.values()))


def _entries(model: Classifier, evaluation: Evaluation, name: str) -> dict[str, Any]:
    found = {_KEPT[score]: interval for score, interval in evaluation.scores[name].items()}
    before, tested = model.meta.get("scores"), model.meta.get("test")
    scores = {key: value for key, value in (before or {}).items() if key not in (*_KEPT.values(), "intervals")}
    scores |= {key: interval.value for key, interval in found.items()}
    scores["intervals"] = {
        key: {"low": one.low, "high": one.high, "confidence": one.confidence, "method": one.method}
        for key, one in found.items()
        if np.isfinite(one.low)
    }
    trains = tested is not None and "data" in model.meta and "intervals" not in (before or {})
    trained = {"training_test": tested} if trains else {}
    kept = {"training_test": model.meta["training_test"]} if "training_test" in model.meta else trained
    return {"scores": scores, "test": evaluation.answers[name].meta[TEST], **kept}
