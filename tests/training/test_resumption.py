import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gradscape.training import load_metrics
from tests.training.toy import save_weights, toy_network, toy_recipe, train_toy

# Preloading makes a start take milliseconds; plain forking is unsafe once torch has threads.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["gradscape.training", "tests.training.toy"])
EPOCHS = 16
STARTS = 60


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Dying:
    """Writes weights, and in the chosen call kills the process with half of the file written."""

    def __init__(self, call: int) -> None:
        self.call = call

    def __call__(self, path: Path, network: nn.Module, scores: dict[str, float]) -> None:
        save_weights(path, network, scores)
        self.call -= 1
        if self.call == 0:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            kill_self()


def train(folder: Path, *, die_in_save: int = 0, die_at_state: int = 0, half: bool = False, **changes: Any) -> None:
    """Train in this process; die in the n-th call of `save` or of torch.save, before it or amid writing its file."""
    torch.set_num_threads(1)
    write, calls = torch.save, 0

    put = Path.write_bytes

    def write_or_die(content: Any, file: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == die_at_state and not half:
            kill_self()
        write(content, file)

    def put_or_die(path: Path, content: Any) -> int:
        if path.suffix == ".ckpt" and calls == die_at_state:
            put(path, content[: len(content) // 2])
            kill_self()
        return put(path, content)

    torch.save = write_or_die  # type: ignore[assignment]
    Path.write_bytes = put_or_die  # type: ignore[assignment, method-assign]
    train_toy(folder, toy_network(), recipe=toy_recipe(**{"epochs": EPOCHS, **changes}), save=Dying(die_in_save))


def start(folder: Path, **options: Any) -> BaseProcess:
    process = PROCESSES.Process(target=train, args=(folder,), kwargs=options)
    process.start()
    return process


def check_files_read(folder: Path) -> int:
    """Every file that is there is whole; the finished epochs."""
    for name in ("model.safetensors", "best.safetensors"):
        if (folder / name).exists():
            assert len(load_file(folder / name)) == len(toy_network().state_dict())
    if not (folder / "state.ckpt").exists():
        return 0
    done = len(torch.load(folder / "state.ckpt", weights_only=True)["gradscape"]["rows"])
    rows = load_metrics(folder / "metrics.csv")["epoch"].tolist()
    # The csv is written before the state: it may be one epoch ahead.
    assert rows in (list(range(1, done + 1)), list(range(1, done + 2)))
    return done


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder)
    process.join()
    assert process.exitcode == 0
    return folder


def check_equal_to(whole: Path, folder: Path) -> None:
    for name in ("model.safetensors", "best.safetensors"):
        expected, weights = load_file(whole / name), load_file(folder / name)
        assert all(torch.equal(weights[key], value) for key, value in expected.items())
    expected_rows, rows = load_metrics(whole / "metrics.csv"), load_metrics(folder / "metrics.csv")
    for column in set(rows) - {"seconds"}:
        assert rows[column].tolist() == expected_rows[column].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "death",
    [
        {"die_in_save": 1},
        {"die_in_save": 2},
        {"die_in_save": 12},
        {"die_at_state": 1},
        {"die_at_state": 1, "half": True},
        {"die_at_state": 9},
        {"die_at_state": 9, "half": True},
        {"die_at_state": 15},
        {"die_at_state": 16},
        {"die_at_state": 16, "half": True},
    ],
    ids=str,
)
def test_a_run_killed_while_it_writes_goes_on_to_bitwise_the_same_weights(
    tmp_path: Path, whole: Path, death: dict[str, Any]
) -> None:
    process = start(tmp_path, **death)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert check_files_read(tmp_path) < EPOCHS
    process = start(tmp_path)
    process.join()
    assert process.exitcode == 0
    check_equal_to(whole, tmp_path)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".partial")] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "shift": 0.15},
        {"nesterov": True, "decay_per_step": 0.03, "schedule": "steps", "milestones": (1, 3), "validation_share": 0.3},
        {"warmup_epochs": 3, "resized_crop": True, "learning_rate_batch": 4},
    ],
    ids=["adam", "decay per step", "warm-up"],
)
def test_a_killed_run_goes_on_to_bitwise_the_same_weights_with_every_optimizer_and_schedule(
    tmp_path: Path, recipe: dict[str, Any]
) -> None:
    options = {"epochs": 5, "crop_padding": 0, **recipe}
    for folder, death in (("whole", {}), ("killed", {"die_at_state": 3}), ("killed", {})):
        process = start(tmp_path / folder, **options, **death)
        process.join()
        assert process.exitcode == (-signal.SIGKILL if death else 0)
    check_equal_to(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_at_random_moments_ends_in_bitwise_the_same_weights(
    tmp_path: Path, whole: Path, seed: int
) -> None:
    moments = random.Random(seed)
    epoch = float(np.median(load_metrics(whole / "metrics.csv")["seconds"]))
    kills_in_training, runs, done = 0, 0, 0
    for _ in range(STARTS):
        folder = tmp_path / str(runs)
        process = start(folder)
        # The wait begins when the first epoch of this start has been written.
        while process.is_alive() and check_files_read(folder) == done:
            time.sleep(0.005)
        process.join(moments.uniform(0, 2 * epoch))
        process.kill()
        process.join()
        done = check_files_read(folder)
        if process.exitcode != 0:
            kills_in_training += 0 < done < EPOCHS
            continue
        assert done == EPOCHS
        check_equal_to(whole, folder)
        if kills_in_training >= 5:
            return
        # A busy machine lets epochs pass unkilled: another run gives more chances.
        runs, done = runs + 1, 0
    pytest.fail(
        f"{STARTS} starts gave {runs} whole runs and {kills_in_training} kills in training, of which 5 are needed; "
        f"the last start stopped after epoch {done} with exit code {process.exitcode}"
    )
