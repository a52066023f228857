import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradscape.training import SeedRuns, load_metrics, train_seeds
from gradscape.training.seeds import summarize_runs
from tests.training.toy import MEAN, STD, ToyImages, save_weights, toy_batches, toy_recipe
from tests.training.toy import toy_network as seeded_network


def make_network() -> torch.nn.Module:
    return seeded_network(seed=int(torch.randint(1000, ())))


def train(
    output: Path, *, seeds: int = 3, seed: int = 0, early_stopping: int | None = None, **changes: Any
) -> SeedRuns:
    return train_seeds(
        make_network,
        ToyImages(40, seed=0),
        toy_batches(),
        seeds=seeds,
        seed=seed,
        output=output,
        recipe=toy_recipe(epochs=6, learning_rate=0.1, early_stopping_patience=early_stopping, **changes),
        mean=MEAN,
        std=STD,
        save=save_weights,
        device="cpu",
        progress=False,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> SeedRuns:
    return train(tmp_path_factory.mktemp("seeds"))


def test_every_seed_has_a_folder_and_its_own_weights(runs: SeedRuns) -> None:
    assert [run.checkpoint.parent.name for run in runs.runs] == ["seed0", "seed1", "seed2"]
    assert len({run.checkpoint.read_bytes() for run in runs.runs}) == 3


def test_a_seed_fixes_the_first_weights_too(runs: SeedRuns, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    alone = train(tmp_path, seeds=1, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    for name, values in alone.runs[0].metrics.items():
        if name != "seconds":
            np.testing.assert_array_equal(values, runs.runs[2].metrics[name])


def test_the_summary_is_mean_deviation_median_and_range_epoch_by_epoch(runs: SeedRuns) -> None:
    for epoch in range(6):
        for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
            values = [float(run.metrics[name][epoch]) for run in runs.runs]
            assert runs.summary[f"{name}_mean"][epoch] == pytest.approx(statistics.mean(values))
            assert runs.summary[f"{name}_std"][epoch] == pytest.approx(statistics.stdev(values))
            assert runs.summary[f"{name}_median"][epoch] == pytest.approx(statistics.median(values))
            assert runs.summary[f"{name}_min"][epoch] == min(values)
            assert runs.summary[f"{name}_max"][epoch] == max(values)
        best = [max(run.metrics["test_accuracy"][: epoch + 1]) for run in runs.runs]
        assert runs.summary["best_accuracy_median"][epoch] == pytest.approx(statistics.median(best))


def test_summary_csv_holds_the_summary(runs: SeedRuns) -> None:
    loaded = load_metrics(runs.runs[0].checkpoint.parents[1] / "summary.csv")
    assert list(loaded) == list(runs.summary)
    for name, values in runs.summary.items():
        np.testing.assert_array_equal(loaded[name], values)


def test_a_run_that_stopped_early_counts_with_its_last_values(tmp_path: Path) -> None:
    runs = train(tmp_path, early_stopping=1)
    lengths = [len(run.metrics["epoch"]) for run in runs.runs]
    assert len(set(lengths)) > 1, "all runs are equally long: this shows nothing"
    finals = [run.final_accuracy for run in runs.runs]
    bests = [run.best_accuracy for run in runs.runs]
    assert len(runs.summary["epoch"]) == max(lengths)
    assert runs.summary["test_accuracy_median"][-1] == pytest.approx(statistics.median(finals))
    assert runs.summary["best_accuracy_max"][-1] == max(bests)


def test_held_out_images_are_summarized_too(tmp_path: Path) -> None:
    runs = train(tmp_path, seeds=2, validation_share=0.3)
    for epoch in range(6):
        values = [float(run.metrics["validation_accuracy"][epoch]) for run in runs.runs]
        assert runs.summary["validation_accuracy_median"][epoch] == pytest.approx(statistics.mean(values))


def test_one_run_has_no_standard_deviation(runs: SeedRuns) -> None:
    alone = summarize_runs([runs.runs[0]])
    assert np.isnan(alone["test_accuracy_std"]).all()
    np.testing.assert_array_equal(alone["test_accuracy_mean"], runs.runs[0].metrics["test_accuracy"])


def test_no_seeds_at_all_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`seeds` must be at least 1, got 0"):
        train(tmp_path, seeds=0)
