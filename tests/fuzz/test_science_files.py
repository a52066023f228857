"""Files of landscape science, damaged by their bytes and by their structure: refused in a line, or read."""

import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

from gradscape.explain import DecisionMap, decision_map
from gradscape.landscape import (
    Curvature,
    CurvatureMap,
    Curve,
    Sharpness,
    Topology,
    evaluate_curvature,
    evaluate_surface,
    measure_sharpness,
    random_directions,
)
from tests.fuzz.bytes_damage import damage_bytes
from tests.fuzz.hdf5_damage import damage_hdf5
from tests.fuzz.npz_damage import damage_npz
from tests.fuzz.safetensors_damage import damage_safetensors
from tests.landscape.hessian.curvatures import made_up

TRIES = 100  # of each kind, by make test-all
LONGEST_LINE = 1000


def _batches() -> Any:
    draw = torch.Generator().manual_seed(0)
    return [(torch.rand(300, 3, 4, 4, generator=draw), torch.arange(300) % 3)]


def _net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.ReLU(), nn.Linear(5, 3)).eval()


def _sharpness(path: Path) -> None:
    measure_sharpness(_net(), _batches(), kinds=("average", "sam"), rhos=[0.1], m=32, draws=3).save(path)


def _curvature(path: Path) -> None:
    made_up().save(path)


def _map(path: Path) -> None:
    axes: Any = ([-0.5, 0.0, 0.5], [0.0, 1.0])
    evaluate_curvature(_net(), _batches(), random_directions(_net(), seed=0), *axes, path=path)


def _topology(path: Path) -> None:
    axis = [-1.0, -0.5, 0.0, 0.5, 1.0]
    surface = evaluate_surface(_net(), _batches(), random_directions(_net(), seed=0), axis, axis[1:])
    surface.topology().save(path)


def _decision(path: Path) -> None:
    images = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    decision_map(_net(), images, steps=7).save(path)


def _curve(path: Path) -> None:
    tensors = [{"weight": torch.rand(3, 2), "bias": torch.rand(3)} for _ in range(3)]
    Curve(kind="bezier", start=tensors[0], bend=tensors[1], end=tensors[2], meta={"model": "net"}).save(path)


def _npz(path: Path, random: Random) -> None:
    damage_npz(path, random, path.with_name("canary"))


def _hdf5(path: Path, random: Random) -> None:
    damage_hdf5(path, random)


def _safetensors(path: Path, random: Random) -> None:
    path.write_bytes(damage_safetensors(path.read_bytes(), random)[0])


KINDS: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any], Callable[[Path, Random], None]]] = {
    "sharpness.npz": (_sharpness, Sharpness.load, _npz),
    "curvature.npz": (_curvature, Curvature.load, _npz),
    "curvature.h5": (_map, CurvatureMap.load, _hdf5),
    "topology.npz": (_topology, Topology.load, _npz),
    "decision.npz": (_decision, DecisionMap.load, _npz),
    "curve.safetensors": (_curve, Curve.load, _safetensors),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of h5py, where it writes the damage
@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_or_refused_in_a_line_that_names_it(name: str, tmp_path: Path) -> None:
    make, load, damage = KINDS[name]
    make(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    load(tmp_path / name)
    refused = 0
    for number in range(TRIES):
        random = Random(f"{name} {number}")
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_bytes(whole)
        if number % 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the second member of a name
                damage(path, random)
        else:
            path.write_bytes(damage_bytes(whole, random)[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                load(path)
            except (ValueError, TypeError, OSError) as problem:
                refused += 1
                said = str(problem)
                assert name in said, f"{number}: {said}"
                assert "\n" not in said, f"{number}: {said}"
                assert len(said) < LONGEST_LINE, number
        assert not path.with_name("canary").exists(), number
    assert refused > TRIES / 2
