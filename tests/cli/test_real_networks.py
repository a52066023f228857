"""The main job on a real network and real images, by the commands that a user types."""

from pathlib import Path

import numpy as np
import pytest

from gradscape.landscape import Surface
from tests.cli.conftest import Command


@pytest.fixture
def resnet20(gradscape: Command, test_data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "resnet20.safetensors"
    file = test_data / "checkpoints" / "akamaster-resnet20-12fca82f.th"
    imagenet = ("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225")
    done = gradscape("import", file, "--model", "resnet20", "--num-classes", 10, *imagenet, "-o", path)
    assert done.code == 0, done.err
    return path


@pytest.mark.slow
def test_a_trained_network_that_cannot_be_seen_at_1_gets_a_smaller_span_by_itself(
    gradscape: Command, resnet20: Path, test_data: Path, tmp_path: Path
) -> None:
    data = f"npz:{test_data / 'cifar10' / 'cifar10_train4000_lossless.npz'}"
    out = tmp_path / "out"
    done = gradscape("landscape", resnet20, "--data", data, "--limit", 256, "--seed", 1, "--steps", 2, "-o", out)
    assert done.code == 0, done.err
    trials = [line for line in done.out.splitlines() if "R = " in line and line.startswith("  ")]
    assert "R = 1 " in trials[0]
    assert "not visible" in trials[0]
    assert "% of the points lie below 0.02 of the range, fewer than half may" in trials[0]
    assert "R = 0.5 " in trials[-1]
    assert trials[-1].endswith(" visible")
    assert "not visible" not in trials[-1]
    surface = Surface.load(out / "surface.h5")
    assert surface.meta["span"] == 0.5
    assert surface.meta["span_search"][0]["failed"]
    assert np.abs(surface.alphas).max() == 0.5
