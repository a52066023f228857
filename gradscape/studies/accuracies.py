"""Several networks' trainings in numbers: is one really more accurate, or was it the seed, or the choice of images?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape._intervals import accuracy_over_images, joint_level, proportion_difference, spread_of
from gradscape._names import tell_apart, telling_parts, unknown_name
from gradscape._recorded import recorded
from gradscape._text_files import begins_with
from gradscape.landscape.metrics.measure import Measure
from gradscape.studies.comparison import Comparison
from gradscape.studies.differences import Draws, PairDifference, pair_difference, verdict_of
from gradscape.studies.papers.wording import training_data
from gradscape.studies.tested_images import as_trained, describe_test
from gradscape.studies.training_identity import common_name, group_alike, identify_training, warn_of_apart
from gradscape.training.history import load_metrics
from gradscape.training.score_columns import SCORES, best_column, score_column

__all__ = [
    "TRAINING_METRICS",
    "TrainedRun",
    "compare_trainings",
    "group_runs",
    "holds_training",
    "is_training",
    "load_trainings",
]

TRAINING_METRICS = {
    "test_accuracy": "%",
    "best_accuracy": "%",
    "train_accuracy": "%",
    "validation_accuracy": "%",
    "test_ap50": "%",
    "best_ap50": "%",
    "test_ap": "%",
    "test_iou": "%",
    "best_iou": "%",
    "test_loss": "nats",
    "train_loss": "nats",
    "validation_loss": "nats",
}
"""What trainings are compared by -> its unit: the value after the last epoch, or the best test score of any."""

_BEST = {best_column(score): score for score in SCORES}
_METRICS, _LAST, _CHECKPOINT = "metrics.csv", "model.safetensors", ".safetensors"
_OF_TEST_IMAGES = ("test_accuracy", "best_accuracy")


@final
@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A training as its folder tells it.

    Attributes:
        path: Its folder, or a checkpoint that is not the last one of a folder.
        columns: Of metrics.csv, one number an epoch; of a checkpoint alone its scores.
        meta: What the checkpoint says; empty where there is none.
    """

    path: Path
    columns: Mapping[str, np.ndarray]
    meta: Mapping[str, Any]

    @property
    def called(self) -> str:
        """Its seed in words, else its folder's name."""
        scores = self.meta.get("scores")
        seed = scores.get("seed") if isinstance(scores, Mapping) else None
        return self.path.name if seed is None else f"seed {seed}"

    @property
    def num_images(self) -> int | None:
        """How many images it was tested on; None where it is not known."""
        test = self.meta.get("test")
        count = test.get("images") if isinstance(test, Mapping) else None
        return count if isinstance(count, int) and count > 0 else None

    def value(self, metric: str) -> float:
        """One of `TRAINING_METRICS` in its unit; NaN where it was not recorded, as the best epoch in a checkpoint."""
        best = metric in _BEST
        column = self.columns.get(_BEST[metric] if best else metric)
        if column is None or not len(column) or (best and "epoch" not in self.columns):
            return np.nan
        found = float(column.max() if best else column[-1])
        return 100 * found if TRAINING_METRICS[metric] == "%" else found


def load_trainings(paths: Iterable[Path]) -> dict[str, list[TrainedRun]]:
    """Load trainings; those that differ in nothing but the seed are one network.

    Args:
        paths: Run folders of `gradscape train`, folders of them, their metrics.csv, or checkpoints. Runs without a
            checkpoint are one network where they lie in folders of one folder.

    Returns:
        Network -> its trainings, under the model's name where that tells it from the others, else what its path has of
        its own.

    Raises:
        ValueError: A path holds no training.
        FileNotFoundError: It is not there.
    """
    return group_runs([run for path in paths for run in _runs(path)])


def group_runs(runs: Iterable[TrainedRun]) -> dict[str, list[TrainedRun]]:
    """Put trainings together as `load_trainings` does, and name the networks."""
    places = {str(run.path.resolve()): run for run in runs}
    groups, apart = group_alike({place: identify_training(run.meta) for place, run in places.items()})
    warn_of_apart(apart)
    merged: dict[str, list[TrainedRun]] = {}
    for group in groups:
        own = [places[place] for place in group]
        unknown = len(own) == 1 and not own[0].meta
        merged.setdefault(str(own[0].path.resolve().parent) if unknown else group[0], []).extend(own)
    folders = iter(telling_parts([_place(run) for own in merged.values() for run in own]))
    shared = [common_name([next(folders) for _ in own]) for own in merged.values()]
    names = [str(own[0].meta.get("name") or place) for own, place in zip(merged.values(), shared, strict=True)]
    return dict(zip(tell_apart([names, shared]), merged.values(), strict=True))


def compare_trainings(
    networks: Mapping[str, Sequence[TrainedRun]],
    *,
    metrics: Sequence[str] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare networks by what their trainings reached.

    Of several trainings, the mean has Student's interval over trainings, and a difference Welch's. With one each, the
    accuracies have intervals over images, Wilson's, and their difference Newcombe's; these are right for two
    independent sets of images, and too wide for the same ones.

    Args:
        networks: Name -> trainings that differ in nothing but the seed.
        metrics: Some of `TRAINING_METRICS`; by default the test accuracy after the last epoch, which was not chosen by
            the test images; of detectors AP50, of segmenters the mean IoU.
        confidence: Coverage of each interval of a mean, and of all those of differences together.
        seed: Of the permutations.

    Raises:
        ValueError: Networks were tested on different images, one lacks the metric, or there is no such metric.

    Source: Welch 1947; Wilson 1927; Newcombe 1998; Dunn 1961 (Bonferroni intervals).
    """
    if not networks or not all(networks.values()):
        raise ValueError("`networks` must hold at least one network with a training")
    chosen = list(dict.fromkeys(metrics or [_score_of(networks)]))
    for metric in chosen:
        if metric not in TRAINING_METRICS:
            raise unknown_name("metric", metric, TRAINING_METRICS)
    _check_comparable(networks, chosen)
    pairs = list(combinations(networks, 2))
    level = joint_level(confidence, len(pairs) * len(chosen))
    samples = {(name, metric): _draws(runs, metric, confidence) for name, runs in networks.items() for metric in chosen}
    return Comparison(
        means={name: {metric: _mean(samples[name, metric], confidence) for metric in chosen} for name in networks},
        draws={name: {metric: samples[name, metric].values.tolist() for metric in chosen} for name in networks},
        differences=[
            _difference(metric, pair, networks, samples, confidence=level, seed=seed)
            for metric in chosen
            for pair in pairs
        ],
        confidence=confidence,
        about=_remarks(networks, chosen),
        trainings={name: [run.called for run in runs] for name, runs in networks.items()},
    )


def is_training(path: Path) -> bool:
    """Whether a file is a training's: its table of epochs, or a checkpoint."""
    return path.suffix == _CHECKPOINT or (path.name == _METRICS and path.is_file() and _has_epochs(path))


def holds_training(folder: Path) -> bool:
    """Whether a folder has a training in it."""
    return bool(_found_in(folder))


def _runs(path: Path) -> list[TrainedRun]:
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    files = _found_in(path) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} holds no training: gradscape train makes them")
    return [_run(file) for file in files]


def _run(file: Path) -> TrainedRun:
    from gradscape._checkpoint import read_checkpoint  # with torch, which comparing surfaces does without

    if file.suffix == _CHECKPOINT:
        meta = recorded(read_checkpoint(file)[1])
        numbers = meta.get("scores") or {}
        columns = {name: np.array([float(numbers[name])]) for name in TRAINING_METRICS if _is_number(numbers.get(name))}
        return TrainedRun(file.parent if file.name == _LAST else file, columns, meta)
    checkpoint = file.with_name(_LAST)
    meta = recorded(read_checkpoint(checkpoint)[1]) if checkpoint.is_file() else {}
    return TrainedRun(file.parent, load_metrics(file), as_trained(meta))


def _place(run: TrainedRun) -> Path:
    """The folder of a training, or of the seeds that it is one of."""
    path = run.path.resolve()
    folder = path.parent if path.suffix == _CHECKPOINT else path
    return folder.parent if folder.name.removeprefix("seed").isdecimal() else folder


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _found_in(folder: Path) -> list[Path]:
    """Tables of epochs in a folder; where one is missing, the checkpoint of the last epoch."""
    tables = [path for path in sorted(folder.rglob(_METRICS)) if _has_epochs(path)]
    known = {path.parent for path in tables}
    return [*tables, *(path for path in sorted(folder.rglob(_LAST)) if path.parent not in known)]


def _has_epochs(path: Path) -> bool:
    return begins_with(path, "epoch,")  # comparisons have a table of that name too


def _check_comparable(networks: Mapping[str, Sequence[TrainedRun]], metrics: Sequence[str]) -> None:
    named = [(name, run) for name, runs in networks.items() for run in runs]
    tested = [(name, run.meta["test"]) for name, run in named if isinstance(run.meta.get("test"), Mapping)]
    for name, test in tested:
        if test != tested[0][1]:
            raise ValueError(
                f"{tested[0][0]} was tested on {describe_test(tested[0][1])} and {name} on {describe_test(test)}: "
                "train all with one --data, --test and --seed"
            )
    for name, run in named:
        for metric in metrics:
            if np.isnan(run.value(metric)):
                raise ValueError(f"{run.path} has no {metric}, by which {name} is to be compared: choose another")


def _score_of(networks: Mapping[str, Sequence[TrainedRun]]) -> str:
    """The score of the first training."""
    first = next(iter(networks.values()))[0]
    return score_column(first.columns) or SCORES[0]


def _draws(runs: Sequence[TrainedRun], metric: str, confidence: float) -> Draws:
    """Each training as a draw of its own; only of a lone one the interval over images is needed."""
    bounds = (0.0, 100.0) if TRAINING_METRICS[metric] == "%" else (0.0, np.inf)
    if len(runs) == 1:
        return Draws.of([(_over_images(runs[0], metric, confidence), np.zeros(0))], bounds=bounds)
    values = [run.value(metric) for run in runs]
    found = [(Measure(metric, value, value, value, TRAINING_METRICS[metric]), np.zeros(0)) for value in values]
    return Draws.of(found, [str(number) for number in range(len(runs))], bounds=bounds)


def _over_images(run: TrainedRun, metric: str, confidence: float) -> Measure:
    """One training's number, with an interval over images where it is of the test images and their number is known."""
    value, unit = run.value(metric), TRAINING_METRICS[metric]
    if metric not in _OF_TEST_IMAGES:
        return Measure(metric, value, np.nan, np.nan, unit)
    if run.num_images is None:
        return Measure(metric, value, np.nan, np.nan, unit, "how many images it was tested on is not known")
    found = accuracy_over_images(value / 100, run.num_images, confidence=confidence)
    return Measure(metric, value, 100 * found.low, 100 * found.high, unit)


def _mean(draws: Draws, confidence: float) -> Measure:
    """Mean over trainings; the note says how they lie."""
    found = draws.mean(confidence)
    if draws.num_trainings == 1:
        return found
    return replace(found, note=spread_of(draws.values.tolist(), digits=_digits(found.unit)))


def _digits(unit: str) -> int:
    return 2 if unit == "%" else 4


def _difference(
    metric: str,
    pair: tuple[str, str],
    networks: Mapping[str, Sequence[TrainedRun]],
    samples: Mapping[tuple[str, str], Draws],
    *,
    confidence: float,
    seed: int,
) -> PairDifference:
    ours, theirs = (samples[name, metric] for name in pair)
    if max(ours.num_trainings, theirs.num_trainings) > 1:
        return pair_difference(metric, pair, ours, theirs, confidence=confidence, seed=seed)
    difference = float(ours.values[0] - theirs.values[0])
    own, other = (networks[name][0].num_images for name in pair)
    if metric not in _OF_TEST_IMAGES or own is None or other is None:
        known = "unknown: how many images they were tested on is not known"
        reason = known if metric in _OF_TEST_IMAGES else "unknown: one training says nothing about others"
        return PairDifference(metric, *pair, difference, np.nan, np.nan, np.nan, reason)
    rights = round(ours.values[0] / 100 * own), round(theirs.values[0] / 100 * other)
    found = proportion_difference((rights[0], own), (rights[1], other), confidence=confidence)
    low, high = 100 * found.low, 100 * found.high
    return PairDifference(metric, *pair, difference, low, high, np.nan, verdict_of(pair, low, high))


def _remarks(networks: Mapping[str, Sequence[TrainedRun]], metrics: Sequence[str]) -> list[str]:
    """What is counted, and what the intervals do not know."""
    lines = ["trainings: " + ", ".join(f"{name} {len(runs)}" for name, runs in networks.items())]
    single = [name for name, runs in networks.items() if len(runs) == 1]
    if len(single) == len(networks) and set(metrics).isdisjoint(_OF_TEST_IMAGES):
        lines.append("one training each: what other seeds would give is unknown: gradscape train --seeds 5")
    elif len(single) == len(networks):
        lines.append(
            "one training each: intervals are over images (Wilson's; of differences Newcombe's, as if each network had "
            "images of its own, which is too wide for the same ones; gradscape evaluate pairs them), and what other "
            "seeds would give is unknown: gradscape train --seeds 5"
        )
    elif single:
        lines.append(f"one training of {', '.join(single)}: train more by gradscape train --seeds 5")
    if len(single) < len(networks):
        lines.append("intervals over trainings are about these test images")
    lines += [
        f"{best} is that of the best epoch by the test images, and so too high" for best in _BEST if best in metrics
    ]
    return lines + _training_remarks(networks)


def _training_remarks(networks: Mapping[str, Sequence[TrainedRun]]) -> list[str]:
    """How the networks were trained: once what all share, and whatever is not fair."""
    trained = {name: _described(runs[0].meta) for name, runs in networks.items()}
    if len(set(trained.values())) == 1:
        return [one for one in set(trained.values()) if one]
    listed = "; ".join(f"{name} {said or 'in a way that is not recorded'}" for name, said in trained.items())
    return [f"not trained alike: {listed}"]


def _described(meta: Mapping[str, Any]) -> str:
    recipe, data, test = meta.get("recipe"), training_data(meta), meta.get("test")
    parts = [f"trained on {data}"] if data else []
    if isinstance(recipe, Mapping) and "name" in recipe:
        epochs = f" ({recipe['epochs']} epochs)" if "epochs" in recipe else ""
        parts.append(f"by the recipe {recipe['name']}{epochs}")
    if isinstance(test, Mapping) and {"name", "split", "images"} <= test.keys():
        parts.append(f"tested on {describe_test(test)}")
    return ", ".join(parts)
