"""Trainings in their plane, by the commands that a user types."""

from pathlib import Path

import pytest

from gradscape.landscape import Surface
from tests.cli.conftest import Command
from tests.studies.kept_runs import save_run

FEW = ("--data", "digits", "--limit", "10", "-q")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("animate") / "sgd", networks=3)


@pytest.mark.slow
def test_a_landscape_frames_the_training_that_spans_it(gradscape: Command, run: Path, tmp_path: Path) -> None:
    network, out = run / "model.safetensors", tmp_path / "out"
    outcome = gradscape("landscape", network, "--directions", f"pca:{run}", "--steps", "6", *FEW, "-o", out)
    assert outcome == (0, "", "")
    surface = Surface.load(out / "surface.h5")
    (entry,) = surface.meta["trajectories"]
    assert entry["labels"] == ["epoch 0", "epoch 1", "epoch 2"]
    assert surface.alphas[0] < min(entry["alphas"])
    assert surface.betas[-1] > max(entry["betas"])
    rows = (out / "trajectories.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "trajectory,network,alpha,beta,distance"
    assert len(rows) == 4
    # The stored file alone is drawn with them, and holds their numbers elsewhere too.
    assert gradscape("plot", out / "surface.h5", "-q", "-o", tmp_path / "again.png").code == 0
    assert "sgd (epoch 0 to epoch 2)" in (tmp_path / "again.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_training_becomes_a_movie(gradscape: Command, run: Path, tmp_path: Path) -> None:
    outcome = gradscape("animate", run, "--steps", "5", "--time", "600", *FEW, "-o", tmp_path / "out")
    assert outcome == (0, "", "")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"animation.gif", "animation.html", "frames"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("landscape", "{net}", "--directions", "pca:nowhere", *FEW, "-o", "out"), "there is no run nowhere"),
        (("landscape", "{net}", "{net}", "--directions", "pca:{run}", *FEW, "-o", "out"), "give one checkpoint"),
        (
            ("landscape", "{net}", "--directions", "pca:{run}", "--repeats", "2", *FEW, "-o", "out"),
            "`--repeats` draws random directions",
        ),
        (
            ("landscape", "{net}", "--directions", "nothing.h5", *FEW, "-o", "out"),
            "there is no direction file nothing.h5",
        ),
        (
            ("landscape", "{net}", "--directions", "pca:{run}", "--ignore", "none", *FEW, "-o", "out"),
            "`--ignore` shapes random directions",
        ),
        (
            ("landscape", "{net}", "--directions", "hessian", "--space", "states", *FEW, "-o", "out"),
            "`--space` shapes random directions",
        ),
        (
            ("landscape", "{net}", "--directions", "plane:{net},{net}", "--parameters", "f*", *FEW, "-o", "out"),
            "`--parameters` shapes random directions",
        ),
        (("animate", "nowhere", *FEW, "-o", "out"), "there is no run nowhere"),
        (("animate", "{net}", *FEW, "-o", "out"), "must hold at least 3 networks"),
    ],
)
def test_mistakes_are_one_line(
    gradscape: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = gradscape(*(word.format(net=run / "model.safetensors", run=run) for word in words))
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
