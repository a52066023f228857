"""Lines and landscapes whose batch norms are recalibrated, and lines beyond their networks, by the command."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from gradscape.landscape import Line, Surface
from tests.cli.conftest import Command
from tests.studies.networks import save_network

SMALL = ("--data", "digits", "--limit", 32, "--device", "cpu", "--seed", 3)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two networks whose variances are so different that the line between them cannot go far beyond."""
    first, second = (save_network(tmp_path_factory.mktemp(f"net{seed}"), "resnet20", seed=seed) for seed in (0, 1))
    return first, second


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("calibration") / "few.npz"
    images = np.random.default_rng(0).integers(0, 256, (30, 16, 16), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(30) % 10)
    return f"npz:{path}"


def test_a_recalibrated_line_says_on_what_and_what_the_networks_have_without(
    gradscape: Command, networks: tuple[Path, Path], calibration: str, tmp_path: Path
) -> None:
    asked = ("--batch-norm", "recalibrated", "--calibration", calibration, "--grid", "-0.5:1.5:5")
    done = gradscape("line", *networks, *SMALL, *asked, "-o", tmp_path)
    assert done.code == 0, done.err
    line = Line.load(tmp_path / "line.h5")
    assert np.isfinite(line.loss).all(), "also beyond the networks, where moving variances become negative"
    norm = line.meta["batch_norm"]
    assert (norm["statistics"], norm["images"], line.meta["calibration"]["split"]) == ("recalibrated", 30, "all")
    assert "with own batch-norm statistics loss " in done.out
    assert "\nbatch norm recalibrated at every point on 30 images of few (all)\n" in done.out
    caption = (tmp_path / "line.txt").read_text()
    assert "batch norm recalibrated at every point on 30 images of few (all)" in caption
    assert "with own batch-norm statistics loss" in caption


@pytest.mark.slow
def test_a_recalibrated_landscape_says_so(
    gradscape: Command, networks: tuple[Path, Path], calibration: str, tmp_path: Path
) -> None:
    asked = ("--batch-norm", "recalibrated", "--calibration", calibration, "--span", 0.5, "--steps", 2)
    done = gradscape("landscape", networks[0], *SMALL, *asked, "-o", tmp_path)
    assert done.code == 0, done.err
    surface = Surface.load(tmp_path / "surface.h5")
    assert surface.meta["batch_norm"]["images"] == 30
    caption = (tmp_path / "loss_contour.txt").read_text()
    assert "batch norm recalibrated at every point on 30 images of few (all)" in caption
    assert " there with its own batch-norm statistics" in caption
    assert "\nbatch norm recalibrated at every point on 30 images of few (all)\n" in done.out


def test_a_line_beyond_its_networks_says_where_variances_are_negative_and_what_to_do(
    gradscape: Command, networks: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = gradscape("line", *networks, *SMALL, "--grid", "-2:1:4", "-o", tmp_path)
    assert done.code == 0, done.err
    assert not np.isfinite(Line.load(tmp_path / "line.h5").loss).all()
    assert "running variances are negative at alpha = -2, -1: batch norm gives no meaningful number" in caplog.text
    assert (
        "beyond the two networks running variances become negative; --grid 0:1:4 stays between them, "
        "--batch-norm recalibrated measures variances anew" in done.out
    )


def test_a_line_stops_after_a_time_and_says_how_to_go_on(
    gradscape: Command, networks: tuple[Path, Path], tmp_path: Path
) -> None:
    command = ("line", networks[0], "--data", "digits", "--limit", 80, "--steps", 2, "-o", tmp_path)
    done = gradscape(*command, "--time", 0.001)
    assert "every point saw 32 of 80 images (stopped early" in done.out, done.err
    assert f"by --time; this goes on:\n  {shlex.join(['gradscape', *map(str, command)])}\n" in done.out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--batch-norm", "fresh"), "`--batch-norm` must be one of stored, moving, recalibrated, got 'fresh'"),
        (("--calibration", "digits"), "`--calibration` names the images for `--batch-norm recalibrated`: leave it out"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_one_line(
    gradscape: Command, networks: tuple[Path, Path], tmp_path: Path, asked: tuple[str, ...], said: str
) -> None:
    done = gradscape("line", networks[0], *SMALL, *asked, "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"gradscape: {said}")
    assert done.err.count("\n") == 1
