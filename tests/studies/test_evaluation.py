"""Networks evaluated on a split: what is compared, what is refused, and what lies in the folder."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape._digest import digest_model, digest_tensors
from gradscape.data import Split, load_split
from gradscape.models import Classifier, load_checkpoint
from gradscape.studies.evaluation import Evaluation, compare_answers, evaluate_networks
from gradscape.studies.evaluation_files import save_evaluation, tabulate_answer_differences, tabulate_scores
from gradscape.studies.image_answers import ImageAnswers
from tests.studies.networks import save_network


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Classifier]:
    folder = tmp_path_factory.mktemp("networks")
    files = {name: save_network(folder / name, "resnet20", seed=seed) for seed, name in enumerate("ab")}
    return {name: load_checkpoint(file) for name, file in files.items()}


@pytest.fixture(scope="module")
def split() -> Split:
    return load_split("digits", "test", limit=60, seed=4, batch_size=25)


@pytest.fixture(scope="module")
def evaluation(models: dict[str, Classifier], split: Split) -> Evaluation:
    return evaluate_networks(models, split, seed=4)


def test_answers_say_which_network_and_images_they_are_of(
    models: dict[str, Classifier], split: Split, evaluation: Evaluation
) -> None:
    images = torch.cat([images for images, _ in split])
    for name, answers in evaluation.answers.items():
        told = answers.meta
        assert (told["title"], told["weights"]) == (name, digest_model(models[name]))
        assert (told["image_digest"], told["images"]) == (digest_tensors([("images", images)]), 60)
        assert told["test"] == {"name": "digits", "split": "test", "images": 60, "population": 355}
        assert (told["population"], told["seed"], told["batch_size"]) == (355, 4, 25)
        assert answers.classes == tuple(f"digit_{number}" for number in range(10))
    assert evaluation.remarks[0] == "60 of 355 images of digits (test)"


def test_every_two_networks_are_compared_and_all_intervals_hold_together(evaluation: Evaluation) -> None:
    assert [(one.score, one.first, one.second) for one in evaluation.differences] == [
        ("top1", "a", "b"),
        ("loss", "a", "b"),
    ]
    assert {one.difference.confidence for one in evaluation.differences} == {0.975}
    a, b = (evaluation.scores[name]["loss"].value for name in "ab")
    assert evaluation.differences[1].difference.value == pytest.approx(a - b)


def test_answers_that_were_saved_are_compared_later_without_networks(evaluation: Evaluation, tmp_path: Path) -> None:
    save_evaluation(evaluation, tmp_path)
    loaded = {name: ImageAnswers.load(tmp_path / name / "answers.npz") for name in "ab"}
    again = compare_answers(loaded, seed=4)
    assert (again.scores, list(again.differences)) == (evaluation.scores, list(evaluation.differences))
    other = replace(loaded["b"], meta={**loaded["b"].meta, "image_digest": "another"})
    with pytest.raises(ValueError, match="`answers` must all be to the same images"):
        compare_answers({"a": loaded["a"], "b": other})


def test_files_hold_every_number(evaluation: Evaluation, tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path).as_posix() for path in save_evaluation(evaluation, tmp_path)}
    own = {
        f"{name}/{file}" for name in "ab" for file in ("answers.npz", "confusion.csv", "confusion.pdf", "confusion.png")
    }
    assert own | {"evaluation.csv", "evaluation.json", "evaluation_differences.csv"} <= written
    with (tmp_path / "evaluation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["network"], row["score"]) for row in rows[:4]] == [
        ("a", score) for score in ("loss", "top1", "top5", "calibration_error")
    ]
    told = json.loads((tmp_path / "evaluation.json").read_text())
    for row in rows:
        found = evaluation.scores[row["network"]][row["score"]]
        stored = told["networks"][row["network"]]["scores"][row["score"]]
        for end in ("value", "low", "high"):
            assert float(row[end]) == stored[end] == getattr(found, end)
        assert (row["images"], row["not_finite"]) == ("60", "0")
    assert told["networks"]["a"]["provenance"]["data"] == "digits"
    assert told["differences"][0]["verdict"] == evaluation.differences[0].verdict
    with (tmp_path / "a" / "confusion.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["class", *(f"digit_{number}" for number in range(10))]
    assert sum(int(cell) for row in table[1:] for cell in row[1:]) == 60


def test_tables_are_in_percent_and_nats(evaluation: Evaluation) -> None:
    row = tabulate_scores(evaluation)[1]
    found = evaluation.scores["a"]["top1"]
    interval = f"{100 * found.low:.2f} to {100 * found.high:.2f}"
    assert row == ("a", "top-1 (%)", f"{100 * found.value:.2f}", interval, "60")
    assert tabulate_answer_differences(evaluation)[1][:2] == ("loss (nats)", "a − b")


def test_answers_that_are_not_finite_are_told(evaluation: Evaluation, tmp_path: Path) -> None:
    one = evaluation.answers["a"]
    nothing = np.full(60, np.nan)
    broken = replace(one, predicted=np.full(60, -1), loss=nothing, confidence=nothing, right=np.zeros(60, bool))
    found = compare_answers({"a": one, "broken": broken})
    assert "answers that are not finite: 60 of 60 by broken; they are wrong, and left out of loss" in found.remarks[2]
    save_evaluation(found, tmp_path)
    told = json.loads((tmp_path / "evaluation.json").read_text())
    assert told["differences"][1]["value"] is None
    assert "loss" not in told["networks"]["broken"]["scores"]


def test_networks_that_only_guess_or_saw_the_images_in_training_are_told(
    models: dict[str, Classifier], split: Split, evaluation: Evaluation
) -> None:
    assert any(line == "answers no better than chance: a, b" for line in evaluation.remarks)
    trained = load_checkpoint(str(models["a"].path))
    trained.meta["data"] = {"name": "digits", "images": 1442}
    seen = evaluate_networks({"a": trained}, load_split("digits", "train", limit=20))
    assert "no test of a, trained with these images or some of them" in seen.remarks
    assert not any("no test of" in line for line in evaluate_networks({"a": trained}, split).remarks)


def acting_network(folder: Path) -> Classifier:
    return load_checkpoint(save_network(folder, "resnet20+ba2m@evaluation=batch"))


def test_a_network_that_weighs_images_against_each_other_is_told_with_how_many(tmp_path: Path) -> None:
    acting = acting_network(tmp_path / "acting")
    alone = load_checkpoint(save_network(tmp_path / "alone", "resnet20+ba2m"))
    found = {
        size: evaluate_networks(
            {"acting": acting, "alone": alone}, load_split("digits", "test", limit=12, batch_size=size)
        )
        for size in (1, 12)
    }
    together, apart = found[12].answers, found[1].answers
    np.testing.assert_allclose(apart["acting"].loss, apart["alone"].loss, rtol=1e-5)
    assert not np.allclose(together["acting"].loss, together["alone"].loss, rtol=1e-5)
    for size, one in found.items():
        (said,) = (line for line in one.remarks if "against each other" in line)
        assert said.startswith(f"acting weighs the images of a batch against each other: scores are those of {size} at")
        assert "images_at_once" not in one.answers["alone"].meta
