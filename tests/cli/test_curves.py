"""gradscape line --curve: a file for the curve and its line, one picture with the straight one, and its plane."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape.data import load_split
from gradscape.landscape import Curve, Line, Surface, Trajectory, measure_detour
from gradscape.models import create_model, save_checkpoint
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Forty digits, eight by eight pixels."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    split = load_split("digits", "train", limit=40)
    images = torch.cat([batch for batch, _ in split]).permute(0, 2, 3, 1).mul(255).round().to(torch.uint8)
    np.savez(path, images=images.numpy(), labels=torch.cat([labels for _, labels in split]).numpy())
    return f"npz:{path}"


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("networks")
    for number, name in enumerate(("one", "two")):
        with torch.random.fork_rng():
            torch.manual_seed(number)
            net = create_model("resnet20", num_classes=10, image_size=8)
        about = {"num_classes": 10, "image_size": 8, "mean": (0.3,) * 3, "std": (0.4,) * 3}
        save_checkpoint(folder / f"{name}.safetensors", net, name="resnet20", **about)  # type: ignore[arg-type]
    return folder / "one.safetensors", folder / "two.safetensors"


@pytest.mark.slow
def test_a_time_limit_ends_the_fit_too_and_the_line_is_there(
    gradscape: Command,
    networks: tuple[Path, Path],
    data: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = ("line", *networks, "--data", data, "--curve", "chain", "--curve-epochs", 2, "--steps", 3, "--plane", 0)
    done = gradscape(*call, "--time", 1, "--device", "cpu", "-o", tmp_path)
    assert done.code == 0, done.err
    told = "no curve yet: `--time` is too short: the curve is fitted for 1 of 2 epochs, and the same again goes on"
    assert told in caplog.text
    assert (tmp_path / "line.pdf").exists()
    assert not (tmp_path / "curve.h5").exists()
    done = gradscape(*call, "--device", "cpu", "-o", tmp_path)
    assert done.code == 0, done.err
    assert (tmp_path / "curve.h5").exists()
    assert not (tmp_path / "curve.ckpt").exists()


@pytest.mark.slow
def test_a_curve_is_fitted_evaluated_and_drawn_beside_the_line(
    gradscape: Command, networks: tuple[Path, Path], data: str, tmp_path: Path
) -> None:
    options = ("--curve", "bezier", "--curve-epochs", 2, "--steps", 3, "--plane", 3, "--device", "cpu")
    done = gradscape("line", *networks, "--data", data, *options, "-o", tmp_path)
    assert done.code == 0, done.err
    curve = Curve.load(tmp_path / "curve.safetensors")
    straight, along = Line.load(tmp_path / "line.h5"), Line.load(tmp_path / "curve.h5")
    assert straight.meta["batch_norm"]["statistics"] == along.meta["batch_norm"]["statistics"] == "recalibrated"
    np.testing.assert_array_equal(along.alphas, [0, 0.5, 1])
    np.testing.assert_allclose(along.loss[[0, 2]], straight.loss[[0, 2]], rtol=1e-4)
    found = measure_detour(along, straight)
    assert along.meta["curve"]["highest"]["loss"]["difference"] == pytest.approx(found.difference)
    assert along.meta["curve"]["taught"] == {"data": data, "split": "all"}
    assert f"Bézier curve of length {curve.length:.4g}, its ends {curve.distance:.4g} apart, fitted in 2" in done.out
    assert "highest loss " in done.out
    assert "highest error " in done.out
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"curve.safetensors", "curve.h5", "curve.csv", "curve.pdf", "curve.png", "line.h5", "line.pdf"}
    assert "curve.ckpt" not in names
    caption = " ".join((tmp_path / "curve.txt").read_text(encoding="utf-8").split())
    assert "straight line: barrier" in caption or "straight line: no barrier" in caption
    assert "Bézier curve of length" in caption
    plane = Surface.load(tmp_path / "plane" / "surface.h5")
    way, bend = (Trajectory.from_entry(entry) for entry in plane.meta["trajectories"])
    assert (way.labels[0], way.labels[-1], bend.labels) == ("one", "two", ("bend",))
    assert (bend.betas[0], way.betas.max()) == (pytest.approx(1), pytest.approx(0.5))
    assert (tmp_path / "plane" / "loss_contour.png").stat().st_size > 0
    other = gradscape("line", *networks, "--data", data, *options, "--curve-epochs", 3, "-o", tmp_path)
    assert (other.code, other.out) == (2, "")
    assert "curve.safetensors: `epochs` was 2, is 3; choose another output, or remove it" in other.err
    assert len(other.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--curve", "spline"), "`--curve` must be bezier or chain, got 'spline'"),
        (("--curve", "chain", "--space", "weights"), "`--curve` ends at both networks, which `--space weights` does"),
    ],
)
def test_curves_that_cannot_be_are_refused(
    gradscape: Command, networks: tuple[Path, Path], data: str, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    done = gradscape("line", *networks, "--data", data, *options, "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.split())
    one = gradscape("line", networks[0], "--data", data, "--curve", "chain", "-o", tmp_path / "out")
    assert (one.code, one.out) == (2, "")
    assert "`--curve` leads from one network to another: give a second one" in one.err
