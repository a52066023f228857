"""An evaluation as tables and files: what is printed, and what lies in a folder afterwards."""

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gradscape._files import replacing_text, save_rows
from gradscape._intervals import ConfidenceInterval
from gradscape.figures.charts.confusion import figure_confusion
from gradscape.figures.style import save_figure
from gradscape.studies.answer_scores import SCORES, AnswerDifference
from gradscape.studies.differences import tell_verdicts
from gradscape.studies.evaluation import CALLED, SEEN, Evaluation
from gradscape.studies.image_answers import ImageAnswers, count_confusions

__all__ = [
    "ANSWERS",
    "ANSWER_DIFFERENCE_HEADINGS",
    "SCORE_HEADINGS",
    "interval_text",
    "save_evaluation",
    "score_text",
    "tabulate_answer_differences",
    "tabulate_scores",
    "without_nan",
]

ANSWERS = "answers.npz"
"""What the file of a network's answers is called."""

SCORE_HEADINGS = ("network", "score", "value ", "interval ", "images ")
ANSWER_DIFFERENCE_HEADINGS = ("score", "difference", "value ", "interval ", "verdict")

_NAMED = ("network", "score")  # by where they stand
_UNITS = {"nats": "nats", "share": "%"}


def tabulate_scores(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Return a row of text for each network and score, under `SCORE_HEADINGS`."""
    return [
        (
            name,
            _titled(score),
            score_text(found.value, score),
            interval_text(found, score),
            f"{_counted(evaluation, name, score):,}",
        )
        for name, scores in evaluation.scores.items()
        for score, found in scores.items()
    ]


def tabulate_answer_differences(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Return a row of text for each comparison, under `ANSWER_DIFFERENCE_HEADINGS`."""
    verdicts, _ = tell_verdicts([one.verdict for one in evaluation.differences])
    return [
        (
            _titled(one.score),
            f"{one.first} − {one.second}",
            score_text(one.difference.value, one.score),
            interval_text(one.difference, one.score),
            verdict,
        )
        for one, verdict in zip(evaluation.differences, verdicts, strict=True)
    ]


def score_text(value: float, score: str) -> str:
    """Spell a score or a difference: nats with four decimals, shares in percent with two."""
    if not np.isfinite(value):
        return "—"
    return (f"{value:.4f}" if score == "loss" else f"{100 * value:.2f}").replace("-", "−")


def interval_text(found: ConfidenceInterval, score: str) -> str:
    """Spell an interval in the same way."""
    if not np.isfinite(found.low):
        return "—"
    return f"{score_text(found.low, score)} to {score_text(found.high, score)}"


def save_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write answers, scores, differences and confusions.

    In `folder` that is evaluation.csv, evaluation.json with the same and how it came about, and, of several networks,
    evaluation_differences.csv; of each network, in a folder of its name where there are several, answers.npz,
    confusion.csv and a picture of it.

    Returns:
        The files.
    """
    places = {name: folder / name if len(evaluation.answers) > 1 else folder for name in evaluation.answers}
    written = []
    for name, answers in evaluation.answers.items():  # first what cannot be made again from the rest
        answers.save(places[name] / ANSWERS)
        written.append(places[name] / ANSWERS)
    rows = [row for name in evaluation.answers for row in _score_rows(evaluation, name)]
    save_rows(folder / "evaluation.csv", list(rows[0]), rows)
    written.append(folder / "evaluation.csv")
    if evaluation.differences:
        differences = [_difference_row(one) for one in evaluation.differences]
        save_rows(folder / "evaluation_differences.csv", list(differences[0]), differences)
        written.append(folder / "evaluation_differences.csv")
    written.append(_save_json(folder / "evaluation.json", evaluation))
    for name, answers in evaluation.answers.items():
        written += _save_confusions(name, answers, about=_told(evaluation, answers), folder=places[name])
    return written


def _titled(score: str) -> str:
    return f"{CALLED[score]} ({_UNITS[SCORES[score]]})"


def _told(evaluation: Evaluation, answers: ImageAnswers) -> str:
    return f"{evaluation.images}, of its training" if SEEN in answers.meta else evaluation.images


def _counted(evaluation: Evaluation, name: str, score: str) -> int:
    """How many images a score rests on."""
    answers = evaluation.answers[name]
    return int(answers.finite.sum()) if score in ("loss", "calibration_error") else len(answers)


def _score_rows(evaluation: Evaluation, name: str) -> list[dict[str, Any]]:
    return [
        {
            "network": name,
            "score": score,
            **asdict(found),
            "unit": SCORES[score],
            "images": _counted(evaluation, name, score),
            "not_finite": int((~evaluation.answers[name].finite).sum()),
        }
        for score, found in evaluation.scores[name].items()
    ]


def _difference_row(one: AnswerDifference) -> dict[str, Any]:
    pair = {"score": one.score, "first": one.first, "second": one.second}
    return {**pair, **asdict(one.difference), "unit": SCORES[one.score], "images": one.images, "verdict": one.verdict}


def _save_json(path: Path, evaluation: Evaluation) -> Path:
    networks = {
        name: {
            "scores": {
                row["score"]: {key: row[key] for key in row if key not in _NAMED}
                for row in _score_rows(evaluation, name)
            },
            "classes": list(answers.classes),
            "provenance": dict(answers.meta),
        }
        for name, answers in evaluation.answers.items()
    }
    everything = {
        "images": evaluation.images,
        "networks": networks,
        "differences": [_difference_row(one) for one in evaluation.differences],
        "remarks": evaluation.remarks,
    }
    with replacing_text(path) as file:
        file.write(json.dumps(without_nan(everything), indent=1, ensure_ascii=False))
    return path


def without_nan(value: Any) -> Any:
    """Give the same with None for what JSON has no number for."""
    if isinstance(value, Mapping):
        return {key: without_nan(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _save_confusions(name: str, answers: ImageAnswers, *, about: str, folder: Path) -> list[Path]:
    counts = count_confusions(answers)
    table = folder / "confusion.csv"
    headings = [*answers.classes, *(["other"] if counts.shape[1] > len(counts) else [])]
    with replacing_text(table) as file:
        writer = csv.writer(file)
        writer.writerow(["class", *headings])
        writer.writerows([called, *row] for called, row in zip(answers.classes, counts.tolist(), strict=True))
    page = figure_confusion(counts, names=answers.classes, title=name, about=about)
    return [table, *save_figure(page, folder / "confusion")]
