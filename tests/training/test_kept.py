"""Weights kept along the way: which, the same to the bit after a stop, and without a trace in the training."""

import itertools
import logging
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from gradscape.training import kept_checkpoints, train_seeds
from gradscape.training.kept import KeepEvery
from tests.training.toy import MEAN, STD, ToyImages, save_weights, toy_batches, toy_network, toy_recipe, train_toy


def names(run: Path) -> list[str]:
    return [path.stem for path in kept_checkpoints(run)]


def test_every_second_epoch_the_start_and_the_end_are_kept(tmp_path: Path) -> None:
    run = train_toy(tmp_path, keep_every="2epochs")
    assert names(tmp_path) == ["epoch0000", "epoch0002", "epoch0003"]
    first, *_, last = kept_checkpoints(tmp_path)
    start = toy_network().state_dict()
    assert all(torch.equal(one, start[name]) for name, one in load_file(first).items())
    assert all(torch.equal(one, load_file(last)[name]) for name, one in load_file(run.checkpoint).items())
    without = train_toy(tmp_path / "without")
    assert all(torch.equal(one, load_file(last)[name]) for name, one in load_file(without.checkpoint).items())


def test_steps_are_counted_over_epochs(tmp_path: Path) -> None:
    run = train_toy(tmp_path, keep_every="4 steps")  # six steps an epoch
    assert names(tmp_path) == [f"step{number:06d}" for number in (0, 4, 8, 12, 16, 18)]
    weights = [load_file(path)["6.weight"] for path in kept_checkpoints(tmp_path)]
    assert all(not torch.equal(one, other) for one, other in itertools.pairwise(weights))
    assert torch.equal(weights[-1], load_file(run.checkpoint)["6.weight"])


@pytest.mark.parametrize("asked", ["1", "4steps"])
def test_a_training_that_was_stopped_keeps_the_same_to_the_bit(tmp_path: Path, asked: str) -> None:
    train_toy(tmp_path / "whole", keep_every=asked)
    calls = []

    def stopping(path: Path, network: nn.Module, scores: dict[str, Any]) -> None:
        calls.append(path)
        if len(calls) in (2, 6, 9):
            raise KeyboardInterrupt
        scores = {name: score for name, score in scores.items() if name != "seconds"}
        save_weights(path, network, scores)

    for _ in range(4):
        try:
            train_toy(tmp_path / "stopped", keep_every=asked, save=stopping)
        except KeyboardInterrupt:
            continue
    whole, stopped = (
        {path.name: load_file(path) for path in kept_checkpoints(tmp_path / run)} for run in ("whole", "stopped")
    )
    assert len(calls) > 9
    assert whole.keys() == stopped.keys()
    for name, state in whole.items():
        assert all(torch.equal(one, stopped[name][key]) for key, one in state.items())


def test_the_last_epoch_is_kept_where_a_training_gives_up(tmp_path: Path) -> None:
    recipe = toy_recipe(epochs=20, early_stopping_patience=1, learning_rate=1e-9)
    train_toy(tmp_path, recipe=recipe, keep_every="7")
    assert names(tmp_path) == ["epoch0000", "epoch0002"]


def test_what_was_not_kept_from_the_start_cannot_be_kept_later(tmp_path: Path) -> None:
    train_toy(tmp_path)
    with pytest.raises(ValueError, match="`keep_every` was None, is 1 epoch;"):
        train_toy(tmp_path, keep_every="1")
    train_toy(tmp_path, keep_every="1", resume=False)
    assert len(names(tmp_path)) == 4
    train_toy(tmp_path, keep_every="3steps", resume=False)  # nothing of the other training is left
    assert names(tmp_path)[:2] == ["step000000", "step000003"]
    assert len(names(tmp_path)) == 7


def test_every_seed_keeps_its_own(tmp_path: Path) -> None:
    options: dict[str, Any] = {"mean": MEAN, "std": STD, "save": save_weights, "progress": False, "device": "cpu"}
    recipe = toy_recipe(epochs=1)
    train, test = ToyImages(20, seed=0), toy_batches()
    train_seeds(toy_network, train, test, seeds=2, output=tmp_path, recipe=recipe, keep_every="1", **options)
    with pytest.raises(FileNotFoundError, match="take one of its runs: seed0, seed1"):
        kept_checkpoints(tmp_path)
    assert names(tmp_path / "seed1") == ["epoch0000", "epoch0001"]
    with pytest.raises(FileNotFoundError, match="train with `--keep-every`"):
        kept_checkpoints(tmp_path / "seed1" / "kept")


def test_more_than_the_disk_has_room_for_is_refused_and_much_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    big = toy_network()
    big.register_buffer("ballast", torch.zeros(2**18).expand(2**10, 2**18))  # 1 GiB to save, none in memory
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4 * 2**30))
    with pytest.raises(
        ValueError, match=r"would keep 5 networks of 1\.0 GiB, 5\.0 GiB in all, but .* room for 4\.0 GiB"
    ):
        train_toy(tmp_path, big, keep_every="1")
    assert not list(tmp_path.iterdir())
    with caplog.at_level(logging.WARNING):
        train_toy(tmp_path, big, keep_every="3", save=lambda path, *_: path.touch())
    assert "keeps 3 networks of 1.0 GiB, 3.0 GiB in all; 4.0 GiB are free" in caplog.text


def test_numbers_sort_as_numbers(tmp_path: Path) -> None:
    keep = KeepEvery.read("5epochs")
    for number in (10_000, 5, 0, 9_995):
        keep.file(tmp_path, number).touch()
    (tmp_path / "kept" / "notes.txt").touch()
    assert names(tmp_path) == ["epoch0000", "epoch0005", "epoch9995", "epoch10000"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5", "5 epochs"),
        ("1epochs", "1 epoch"),
        ("1epoch", "1 epoch"),
        ("50steps", "50 steps"),
        (" 2 steps ", "2 steps"),
    ],
)
def test_how_often_is_read_in_words(text: str, told: str) -> None:
    assert str(KeepEvery.read(text)) == told


@pytest.mark.parametrize("text", ["0", "-1", "often", "1.5epochs", "5 minutes", ""])
def test_how_often_is_refused_otherwise(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="`keep_every` must be a number of epochs or steps"):
        train_toy(tmp_path / "run", keep_every=text)
    assert not (tmp_path / "run").exists()
