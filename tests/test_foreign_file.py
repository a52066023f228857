"""Files of other programs: what they hold is found, and nothing in them runs."""

import argparse
import collections
import pathlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from gradscape._foreign_file import read_foreign_states


def _network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".t7", ".pkl", ".safetensors"])
def test_foreign_states_are_read_from_every_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix == ".safetensors":
        save_file(_network().state_dict(), path)
    else:
        torch.save(_network().state_dict(), path)
    assert read_foreign_states(path)[""].keys() == _network().state_dict().keys()


class _CreatesFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".th", ".t7", ".pkl"])
def test_malicious_pickle_is_refused_and_nothing_in_it_runs(tmp_path: Path, suffix: str) -> None:
    trap, path = tmp_path / "trap", tmp_path / f"model{suffix}"
    torch.save({"state_dict": _CreatesFile(trap)}, path)
    plain = tmp_path / f"plain{suffix}"
    plain.write_bytes(pickle.dumps(_CreatesFile(trap)))
    for file in (path, plain):
        with pytest.raises(ValueError, match=r"^.*must (be|hold) a state dict .*; nothing in it was executed; .*$"):
            read_foreign_states(file)
    assert not trap.exists()
    pickle.loads(plain.read_bytes())
    assert trap.exists(), "the trap itself must work"


@pytest.mark.parametrize("content", [b"", b"hello\nworld\n", b"\x80\x02", b"PK\x03\x04broken", bytes(range(256))])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_are_something_else_are_refused_in_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"^.*(must be a state dict saved by torch|is not a valid safetensors file).*$"
    ):
        read_foreign_states(path)


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    for name in ("model.pt", "model.safetensors"):
        path = tmp_path / name
        (save_file if name.endswith("s") else torch.save)(_network().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match=name):
            read_foreign_states(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], r"must hold a state dict \(tensors by name\), got list"),
        ({}, r"must hold a state dict \(tensors by name\), got dict"),
        ({"a": 1, "b": [torch.zeros(2)]}, r"must hold a state dict \(tensors by name\), got dict"),
    ],
)
def test_files_without_a_state_are_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=message):
        read_foreign_states(tmp_path / "model.pt")


def _beside() -> dict[str, Any]:
    return {
        "args": argparse.Namespace(lr=0.1, betas=(0.9, 0.999)),
        "best": np.float64(93.5),
        "folder": pathlib.PurePosixPath("runs"),
        "meters": collections.defaultdict(list, loss=[1.0]),
        "confusion": np.eye(3),
        "optimizer": {"state": {0: {"step": torch.zeros(()), "exp_avg": torch.zeros(3)}}},
    }


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", [name for name in _beside() if name != "meters"])
def test_what_lies_beside_the_weights_is_left_unread(tmp_path: Path, name: str, zipped: bool) -> None:
    state = _network().state_dict()
    content = {"net": state, name: _beside()[name]}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    found = read_foreign_states(tmp_path / "x.pth")
    assert list(found) == ["net"]
    assert all(torch.equal(found["net"][key], state[key]) for key in state)


class OwnNetwork(nn.Module):
    """A module that its author pickled as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_whole_module_is_named_and_refused_in_one_plain_sentence(tmp_path: Path, wrapped: bool) -> None:
    torch.save({"model": OwnNetwork()} if wrapped else OwnNetwork(), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"OwnNetwork.*; save `model.state_dict\(\)` where it was made$") as caught:
        read_foreign_states(tmp_path / "x.pt")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_torchscript_program_is_refused_by_its_name(tmp_path: Path) -> None:
    torch.jit.trace(nn.Linear(2, 3), torch.zeros(1, 2)).save(str(tmp_path / "x.pt"))
    with pytest.raises(
        ValueError, match=r"x.pt must be a state dict .*: it holds a TorchScript program; nothing in it"
    ):
        read_foreign_states(tmp_path / "x.pt")


def test_weights_of_an_unknown_type_are_refused_by_name_and_not_left_out(tmp_path: Path) -> None:
    odd: Any = argparse.Namespace(codes=torch.zeros(2))
    torch.save({**_network().state_dict(), "0.scale": odd}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"must hold plain tensors, but holds 0.scale \(argparse.Namespace\)"):
        read_foreign_states(tmp_path / "x.pt")


def test_every_place_with_tensors_is_found(tmp_path: Path) -> None:
    state = {"weight": torch.zeros(2)}
    torch.save({"epoch": 3, "checkpoint": {"model": state, "args": {"lr": 0.1}}, "ema": state}, tmp_path / "x.pt")
    assert sorted(read_foreign_states(tmp_path / "x.pt")) == ["checkpoint.model", "ema"]
