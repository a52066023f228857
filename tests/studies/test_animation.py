"""A training as a movie: each frame is the plane through its own network, and what is there is not evaluated again."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.cli.grids import parse_grid
from gradscape.data import load_split
from gradscape.landscape import Progress, Surface
from gradscape.landscape.paths.sources import open_network
from gradscape.studies.animation import KeptTraining, draw_frames, evaluate_frames, open_training
from gradscape.studies.planes import Axes
from gradscape.studies.report.collect import collect
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.provenance import rebuild_commands
from tests.studies.kept_runs import save_run
from tests.studies.report.test_commands import parsed

IMAGES = load_split("digits", "train", limit=10, image_size=8)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> KeptTraining:
    return open_training(save_run(tmp_path_factory.mktemp("animation") / "sgd", networks=3), device="cpu")


@pytest.fixture(scope="module")
def axes(training: KeptTraining) -> Axes:
    """Four alphas and three betas, the networks' own places among the alphas but for rounding."""
    return np.array([*sorted(training.path.alphas), training.path.alphas.max() + 1]), training.path.betas[[2]] + [
        -1,
        0,
        1,
    ]


@pytest.fixture(scope="module")
def frames(training: KeptTraining, axes: Axes, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Surface], Path]:
    folder = tmp_path_factory.mktemp("frames")
    return evaluate_frames(training, IMAGES, axes, folder), folder


def test_frames_show_the_same_part_of_parallel_planes_each_through_its_network(
    training: KeptTraining, axes: Axes, frames: tuple[list[Surface], Path]
) -> None:
    surfaces, folder = frames
    assert [path.parent.name for path in sorted(folder.glob("frames/*/surface.h5"))] == [
        "epoch0000", "epoch0001", "epoch0002",
    ]  # fmt: skip
    for number, surface in enumerate(surfaces):
        np.testing.assert_allclose(surface.alphas, axes[0] - training.path.alphas[number])
        (entry,) = surface.meta["trajectories"]
        assert entry["labels"] == [f"epoch {one}" for one in range(number + 1)]
        np.testing.assert_allclose([entry["alphas"][-1], entry["betas"][-1], entry["distance"][-1]], 0, atol=1e-4)
        np.testing.assert_allclose(np.diff(entry["alphas"]), np.diff(training.path.alphas[: number + 1]), atol=1e-4)
    # The last frame's plane is that of the training: its middle row holds the last network itself.
    last = surfaces[-1]
    assert last.loss[1, np.abs(last.alphas).argmin()] == pytest.approx(float(last.origin.loss), rel=1e-4)


def test_weights_are_read_twice_however_many_frames_there_are(
    training: KeptTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []

    def counted(checkpoint: object, *others: Any) -> Any:
        opened.append(checkpoint)
        return open_network(checkpoint, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("gradscape.landscape.paths.weights.open_network", counted)
    again = open_training(training.run, device="cpu")  # once for the plane, and once to see them in it
    for number in range(len(again.files)):
        again.frame(number, IMAGES, tmp_path, device="cpu")
    assert sorted(opened) == sorted(2 * again.files)  # type: ignore[type-var]


def test_frames_go_on_to_the_same_bits_and_nothing_is_evaluated_again(
    training: KeptTraining, axes: Axes, frames: tuple[list[Surface], Path]
) -> None:
    surfaces, folder = frames
    rates: list[float] = []
    again = evaluate_frames(
        training, IMAGES, axes, folder, report=lambda _, progress: rates.append(progress.points_per_second)
    )
    assert set(rates) == {0.0}
    for one, other in zip(surfaces, again, strict=True):
        np.testing.assert_array_equal(one.loss, other.loss)


@pytest.mark.slow
def test_a_movie_a_page_and_stills_are_written_with_their_caption(
    training: KeptTraining, axes: Axes, frames: tuple[list[Surface], Path], tmp_path: Path
) -> None:
    written = draw_frames(training, frames[0], axes, tmp_path)
    names = [path.name for path in written if path.suffix != ".mp4"]
    assert names == ["animation.gif", "animation.txt", "frames.pdf", "frames.png", "frames.txt", "animation.html"]
    said = (tmp_path / "animation.txt").read_text(encoding="utf-8")
    assert "each frame is the plane through the network of that time" in said
    assert "the axes explain" in said
    page = (tmp_path / "animation.html").read_text(encoding="utf-8")
    assert 'max="2"' in page
    assert "epoch 2: loss" in page


def test_a_stopped_animation_goes_on_to_the_same_bits(
    training: KeptTraining, axes: Axes, frames: tuple[list[Surface], Path], tmp_path: Path
) -> None:
    def stop(title: str, _: Progress) -> None:
        if title == "epoch 1":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_frames(training, IMAGES, axes, tmp_path, report=stop)
    assert (tmp_path / "frames" / "epoch0000" / "surface.h5").exists()
    for one, other in zip(frames[0], evaluate_frames(training, IMAGES, axes, tmp_path), strict=True):
        np.testing.assert_array_equal(one.loss, other.loss)


def test_a_report_shows_the_last_frame_alone(frames: tuple[list[Surface], Path]) -> None:
    found = collect([frames[1]]).results["landscapes"]
    assert [one.path.parent.name for one in found] == ["epoch0002"]


def test_a_report_makes_the_whole_movie_again(
    training: KeptTraining, axes: Axes, frames: tuple[list[Surface], Path]
) -> None:
    (line,) = [one for one in rebuild_commands(sort_by_network(collect([frames[1]]))) if " --data " in one]
    asked = parsed(line)
    assert line.startswith("gradscape animate ")
    assert (asked["run"], asked["output"], asked["limit"]) == (training.run, frames[1], 10)
    for axis, expected in zip(parse_grid(str(asked["grid"])), axes, strict=True):
        np.testing.assert_allclose(axis[[0, -1]], expected[[0, -1]], rtol=1e-6, atol=1e-9)


def test_two_networks_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must hold at least 3 networks for a plane"):
        open_training(save_run(tmp_path / "short", networks=2), device="cpu")
