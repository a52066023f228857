"""An epoch whose files can no longer be written."""

import errno
import resource
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gradscape import _files
from gradscape._trainer import AtomicFiles
from tests.training.toy import train_toy


def test_an_epoch_whose_disk_is_full_is_kept_elsewhere_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_toy(tmp_path / "whole")
    flush, states = _files._flush, []

    def full(path: Path) -> None:
        """From the second epoch's state on, nothing fits."""
        states.extend([path] if path.name.endswith("state.ckpt") and "disk" in path.parts else [])
        if len(states) > 1 and "disk" in path.parts:
            raise OSError(errno.ENOSPC, "full", str(path))
        flush(path)

    monkeypatch.chdir(tmp_path)
    output = tmp_path / "disk" / "run"
    with monkeypatch.context() as patch:
        patch.setattr(_files, "_flush", full)
        with pytest.raises(
            OSError, match=r"state.ckpt: No space left .* is kept in .*kept-run: what it holds belongs into"
        ):
            train_toy(output)
    assert torch.load(output / "state.ckpt", weights_only=True)["epoch"] == 0  # the first, whole
    for file in (tmp_path / "kept-run").iterdir():
        shutil.move(file, output / file.name)
    assert torch.load(output / "state.ckpt", weights_only=True)["epoch"] == 1
    run = train_toy(output)
    ended, expected = load_file(run.checkpoint), load_file(whole.checkpoint)
    assert all(torch.equal(ended[name], expected[name]) for name in expected)


def test_a_state_that_does_not_fit_is_the_systems_own_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            AtomicFiles().save_checkpoint({"weights": torch.zeros(9000)}, tmp_path / "state.ckpt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "state.ckpt")
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().err == ""
