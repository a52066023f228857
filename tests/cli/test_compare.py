import errno
from pathlib import Path

import pytest

from gradscape import _files
from gradscape.landscape import Surface
from tests.cli.conftest import Command
from tests.studies.test_accuracies import save_runs
from tests.studies.test_compare import network


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two networks' runs, with three draws of directions each."""
    for name, truth in (("plain", "egg box"), ("short", "bowl")):
        for surface in network(name, truth, 3):  # what differs between draws here is the images' noise
            surface.save(tmp_path / "run" / name / f"seed{surface.meta['seed']}" / "surface.h5")
    return tmp_path / "run"


def test_networks_are_printed_side_by_side_and_written(gradscape: Command, runs: Path, tmp_path: Path) -> None:
    done = gradscape("compare", runs, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "8 comparisons: their intervals hold together with 95 % (Bonferroni)" in done.out
    assert "draws of directions: plain 3, short 3" in done.out
    assert "verdict" in done.out
    assert "not distinguishable" in (tmp_path / "out" / "differences.csv").read_text(encoding="utf-8")
    for name in ("metrics.csv", "draws.csv", "differences.csv", "metrics.pdf", "metrics.png"):
        assert f"wrote {tmp_path / 'out' / name}" in done.out
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_one_network_is_measured_and_one_metric_chosen(gradscape: Command, runs: Path, tmp_path: Path) -> None:
    done = gradscape(
        "compare", runs / "plain" / "seed0" / "surface.h5", "--metric", "roughness", "-o", tmp_path / "out"
    )
    assert done.code == 0, done.err
    assert "one draw of directions for plain" in done.out
    assert "roughness" in done.out
    assert "sharpness" not in done.out
    assert "difference" not in done.out.replace("differences.csv", "")


def test_quiet_prints_nothing(gradscape: Command, runs: Path, tmp_path: Path) -> None:
    done = gradscape("compare", runs / "plain", "--metric", "curvature", "-q", "-o", tmp_path / "out")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_mistakes_are_one_line(gradscape: Command, runs: Path, tmp_path: Path) -> None:
    path = runs / "short" / "seed0" / "surface.h5"
    surface = Surface.load(path)
    Surface(
        alphas=2 * surface.alphas,
        betas=surface.betas,
        blocks=surface.blocks,
        origin=surface.origin,
        meta=surface.meta,
    ).save(path)
    for arguments, message in (
        ([runs], "plain and short have different spans or steps: use one --span R and --steps N for all"),
        ([tmp_path / "nowhere.h5"], "nowhere.h5"),
        ([runs, "--metric", "anisotropi"], "unknown `--metric` 'anisotropi'; did you mean anisotropy?"),
    ):
        done = gradscape("compare", *arguments, "-o", tmp_path / "out")
        assert done.code == 2
        assert message in done.err
        assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_trainings_are_compared_by_their_accuracies(gradscape: Command, tmp_path: Path) -> None:
    save_runs(tmp_path / "se", "resnet20+se", (0.8, 0.82))
    save_runs(tmp_path / "plain", "resnet20", (0.9, 0.92))
    done = gradscape("compare", tmp_path / "plain", tmp_path / "se", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "resnet20 is higher" in done.out
    assert "trainings: resnet20 2, resnet20+se 2" in done.out
    assert (tmp_path / "out" / "metrics.png").stat().st_size > 0
    done = gradscape("compare", tmp_path / "plain", "--metric", "sharpness", "-o", tmp_path / "none")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "unknown `--metric` 'sharpness'; known: test_accuracy" in done.err


def test_a_comparison_whose_disk_is_full_is_kept_elsewhere(
    gradscape: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last table does not fit; all is written again where there is room."""
    monkeypatch.chdir(tmp_path)
    for name, surface in zip("ab", network("plain", "bowl", 2), strict=True):
        surface.save(tmp_path / "run" / name / "surface.h5")
    flush = _files._flush

    def full(path: Path) -> None:
        if "disk" in path.parts and path.name.endswith("draws.csv"):
            raise OSError(errno.ENOSPC, "full", str(path))
        flush(path)

    monkeypatch.setattr(_files, "_flush", full)
    done = gradscape("compare", "run", "--metric", "curvature", "-o", "disk/out")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), done.err
    said = "gradscape: disk/out/draws.csv: No space left on device; make room, or choose another place. "
    assert done.err == f"{said}What was computed is kept in {tmp_path}/kept-out\n"
    assert {"metrics.csv", "draws.csv", "metrics.png"} <= {file.name for file in (tmp_path / "kept-out").iterdir()}
