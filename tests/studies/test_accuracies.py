"""Networks compared by what their trainings reached."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradscape._checkpoint import amend_checkpoint
from gradscape._intervals import proportion, proportion_difference
from gradscape.studies.accuracies import TrainedRun, compare_trainings, group_runs, load_trainings
from gradscape.studies.compare import compare_found
from gradscape.studies.comparison import save_comparison, tabulate_differences, tabulate_means
from gradscape.studies.differences import NOT_DISTINGUISHABLE
from gradscape.studies.papers.paper_table import find_table
from gradscape.studies.papers.table_lines import gather_lines
from gradscape.studies.papers.training_log import TrainingLog, load_logs
from gradscape.training.history import save_metrics
from tests.studies.networks import save_network

TEST = {"name": "digits", "split": "test", "images": 200}


def run(name: str, accuracy: float, seed: int = 0, **changes: Any) -> TrainedRun:
    columns = {"epoch": np.array([1.0, 2.0]), "test_accuracy": np.array([0.95, accuracy])}
    columns["train_loss"] = np.array([2.0, 1 - accuracy])
    meta = {
        "name": name,
        "recipe": {"name": "digits", "epochs": 2},
        "data": {"name": "digits", "images": 800},
        "test": TEST,
        "scores": {"seed": seed, "epoch": 2},
    }
    return TrainedRun(Path("runs") / name / f"seed{seed}", columns, meta | changes)


def runs(name: str, *accuracies: float) -> list[TrainedRun]:
    return [run(name, accuracy, seed) for seed, accuracy in enumerate(accuracies)]


def test_several_trainings_each_are_compared_by_welch() -> None:
    se, spa = (0.8, 0.82, 0.81, 0.79), (0.9, 0.89, 0.92)
    found = compare_trainings({"se": runs("se", *se), "spa": runs("spa", *spa)})
    (difference,) = found.differences
    expected = stats.ttest_ind(np.array(se) * 100, np.array(spa) * 100, equal_var=False).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.verdict == "spa is higher"
    assert found.means["spa"]["test_accuracy"].value == pytest.approx(100 * np.mean(spa))
    assert found.means["spa"]["test_accuracy"].note == "± 1.53 (std), median 90.00 (89.00 to 92.00)"
    assert found.remarks[0] == "trainings: se 4, spa 3"
    assert found.remarks[-1] == "1 comparison: its interval holds with 95 %"
    assert (
        "trained on 800 images of digits, by the recipe digits (2 epochs), tested on 200 images of digits (test)"
        in (found.remarks)
    )


def test_one_training_each_is_compared_over_images() -> None:
    found = compare_trainings({"se": runs("se", 0.8), "spa": runs("spa", 0.9)})
    (difference,) = found.differences
    expected = proportion_difference((160, 200), (180, 200))
    assert (difference.low, difference.high) == pytest.approx((100 * expected.low, 100 * expected.high))
    own = proportion(160, 200)
    assert found.means["se"]["test_accuracy"].low == pytest.approx(100 * own.low)
    assert any("what other seeds would give is unknown" in line for line in found.remarks)


def test_one_training_against_several_is_no_answer() -> None:
    found = compare_trainings({"se": runs("se", 0.8, 0.9), "spa": runs("spa", 0.9)})
    assert found.differences[0].verdict == "unknown: one training of spa says nothing about others"
    assert "one training of spa: train more by gradscape train --seeds 5" in found.remarks


def test_pairs_and_metrics_share_the_confidence() -> None:
    networks = {name: runs(name, *(0.8 + shift for shift in (0.0, 0.01, 0.03))) for name in "abc"}
    found = compare_trainings(networks, metrics=["test_accuracy", "train_loss"])
    assert len(found.differences) == 6
    alone = compare_trainings({name: networks[name] for name in "ab"})
    assert found.differences[0].high > alone.differences[0].high
    assert {one.verdict for one in found.differences} == {NOT_DISTINGUISHABLE}
    assert found.means["a"]["train_loss"].unit == "nats"


def test_the_best_epoch_is_another_metric_and_is_said_to_be_too_high() -> None:
    found = compare_trainings({"a": runs("a", 0.8, 0.7)}, metrics=["best_accuracy"])
    assert found.means["a"]["best_accuracy"].value == 95
    assert any(line.startswith("best_accuracy is that of the best epoch") for line in found.remarks)


def test_unfair_trainings_are_told_and_other_test_images_refused() -> None:
    other = [run("b", 0.8, seed, recipe={"name": "upanets", "epochs": 9}) for seed in range(2)]
    found = compare_trainings({"a": runs("a", 0.8, 0.9), "b": other})
    assert any(line.startswith("not trained alike: a trained on 800 images") for line in found.remarks)
    elsewhere = [run("b", 0.8, test={**TEST, "images": 100})]
    with pytest.raises(ValueError, match=r"a was tested on 200 images of digits .* and b on 100 images of digits"):
        compare_trainings({"a": runs("a", 0.8), "b": elsewhere})


def test_unknown_and_missing_metrics_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown `metric` 'test_acuracy'; did you mean test_accuracy"):
        compare_trainings({"a": runs("a", 0.8)}, metrics=["test_acuracy"])
    with pytest.raises(ValueError, match=r"seed0 has no validation_loss, by which a is to be compared"):
        compare_trainings({"a": runs("a", 0.8)}, metrics=["validation_loss"])


def test_seeds_are_one_network_and_recipes_two() -> None:
    longer = [run("a", 0.8, seed, recipe={"name": "digits", "epochs": 9}) for seed in (5, 6)]
    groups = group_runs([*runs("a", 0.8, 0.9), *longer])
    assert [len(own) for own in groups.values()] == [2, 2]


def save_runs(folder: Path, name: str, accuracies: tuple[float, ...]) -> Path:
    for seed, accuracy in enumerate(accuracies):
        place = folder / f"seed{seed}"
        rows = [{"epoch": 1, "test_accuracy": 0.5}, {"epoch": 2, "test_accuracy": accuracy}]
        scores = {**rows[-1], "seed": seed}
        about: dict[str, Any] = {
            "recipe": {"name": "digits", "epochs": 2},
            "data": {"name": "digits", "images": 800},
            "test": TEST,
        }
        path = save_network(place / "network", name, seed=seed, scores=scores, **about)
        path.rename(place / "model.safetensors")
        save_metrics(place / "metrics.csv", rows)
    return folder


def test_folders_tables_and_checkpoints_are_read_and_written_out(tmp_path: Path) -> None:
    se = save_runs(tmp_path / "se", "resnet20+se", (0.8, 0.82))
    plain = save_runs(tmp_path / "plain", "resnet20", (0.9, 0.92))
    paths = [se, plain / "seed0" / "metrics.csv", plain / "seed1" / "model.safetensors", plain / "seed0"]
    networks = load_trainings(paths)
    assert {name: [one.value("test_accuracy") for one in own] for name, own in networks.items()} == {
        "resnet20+se": pytest.approx([80.0, 82.0]),
        "resnet20": pytest.approx([90.0, 92.0]),
    }
    checkpoint = plain / "seed0" / "model.safetensors"
    assert sum(map(len, load_trainings([plain, checkpoint]).values())) == 2, "the same training is one"
    with pytest.raises(ValueError, match=r"seed0 has no best_accuracy, by which resnet20 is to be compared"):
        compare_found([checkpoint], metrics=["best_accuracy"])
    comparison = compare_found([tmp_path])
    assert tabulate_differences(comparison)[0][1:] == (
        "resnet20 − resnet20+se",
        "10",
        "3.92 to 16.1",
        "resnet20 is higher",
    )
    assert tabulate_means(comparison)[0][:4] == ("test_accuracy (%)", "resnet20", "91", "78.29 to 100")
    written = save_comparison(comparison, tmp_path / "out")
    with written[1].open() as file:
        assert [row["training"] for row in csv.DictReader(file)] == ["seed 0", "seed 1", "seed 0", "seed 1"]
    assert compare_found([tmp_path]).draws == comparison.draws, "what it wrote itself is no training"


def test_runs_without_checkpoints_are_one_network_by_their_folder(tmp_path: Path) -> None:
    for name in ("a/seed0", "a/seed1", "b/seed0"):
        save_metrics(tmp_path / name / "metrics.csv", [{"epoch": 1, "test_accuracy": 0.5}])
    assert {name: len(own) for name, own in load_trainings([tmp_path]).items()} == {"a": 2, "b": 1}


def test_folders_without_anything_and_of_both_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no surface\.h5 and no training"):
        compare_found([tmp_path / "empty"])
    trained = save_runs(tmp_path / "se", "resnet20+se", (0.8,))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        compare_found([trained, tmp_path / "nowhere.h5"])
    (tmp_path / "land").mkdir()
    (tmp_path / "land" / "surface.h5").touch()
    with pytest.raises(ValueError, match=r"se holds trainings and no surface\.h5, other paths hold surfaces: give one"):
        compare_found([tmp_path / "land", trained])


def test_without_the_number_of_test_images_one_training_each_gives_no_verdict() -> None:
    old = {name: [run(name, accuracy, test=None)] for name, accuracy in (("a", 0.5), ("b", 0.9))}
    found = compare_trainings(old)
    assert found.differences[0].verdict == "unknown: how many images they were tested on is not known"
    assert tabulate_differences(found)[0][-1] == "unknown"
    assert found.remarks[-1] == found.differences[0].verdict
    assert not any("hold" in line for line in found.remarks), "there is no interval of a difference"
    assert found.shared_notes == ["how many images it was tested on is not known"]
    (loss,) = compare_trainings(old, metrics=["train_loss"]).differences
    assert loss.verdict == "unknown: one training says nothing about others"


def test_two_trainings_of_one_seed_are_no_sample_and_this_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert len(group_runs([run("a", 0.8), replace(run("a", 0.9), path=Path("runs") / "again")])) == 2
    assert "some trainings come with several checkpoints of one seed" in caplog.text


def test_confidence_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`confidence` must lie between 0 and 1, such as 0\.95, got 95"):
        compare_trainings({"a": runs("a", 0.8, 0.9), "b": runs("b", 0.8)}, confidence=95.0)


def test_a_papers_table_has_the_same_intervals() -> None:
    for accuracies in ((0.98, 1.0, 0.995), (0.98,)):
        own = runs("upanet16", *accuracies)
        logs = [TrainingLog("", (dict(one.columns),), one.meta, None) for one in own]
        (line,) = (line for line in gather_lines(find_table("upanets:2"), logs) if line.measured)
        assert line.measured
        mean = compare_trainings({"upanet16": own}).means["upanet16"]["test_accuracy"]
        found = line.measured.intervals["accuracy"]
        assert (found.value, found.low, found.high) == pytest.approx((mean.value, mean.low, mean.high))


def test_a_later_evaluation_on_other_images_is_none_of_a_trainings(tmp_path: Path) -> None:
    place = save_runs(tmp_path, "upanet16", (0.8,)) / "seed0"
    other = {**TEST, "images": 20}
    amend_checkpoint(str(place / "model.safetensors"), test=other, training_test=TEST)
    (own,) = load_trainings([place])["upanet16"]
    assert own.num_images == TEST["images"]
    (line,) = (line for line in gather_lines(find_table("upanets:2"), load_logs([place])) if line.measured)
    assert line.measured
    assert line.measured.intervals["accuracy (share)"] == proportion(160, 200)
