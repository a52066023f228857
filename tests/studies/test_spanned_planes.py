"""Planes by what spans them, for the command line: coordinates, grids, provenance, and what is refused."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from gradscape.data import load_split
from gradscape.landscape import Trajectory, hessian_spectrum, pca_directions
from gradscape.models import Classifier, save_checkpoint
from gradscape.studies.networks import load_models
from gradscape.studies.planes import framed_axes, make_subjects
from gradscape.studies.spanned_planes import frame_axes, placed_runs, run_checkpoints, span_planes
from tests.figures.trajectories import make_path
from tests.studies.kept_runs import save_run

IMAGES = load_split("digits", "train", limit=10, image_size=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that kept four networks."""
    return save_run(tmp_path_factory.mktemp("spanned") / "sgd")


@pytest.fixture(scope="module")
def other(run: Path) -> Path:
    """Another one from elsewhere, of three networks."""
    return save_run(run.parent / "adam", networks=3, first=7)


@pytest.fixture
def models(run: Path) -> Mapping[str, Classifier]:
    return load_models([run / "model.safetensors"], "cpu")


def test_networks_of_a_run_come_in_their_order(tmp_path: Path, run: Path) -> None:
    assert [path.stem for path in run_checkpoints(run)] == ["epoch0000", "epoch0001", "epoch0002", "epoch0003"]
    for name in ("step_100.pt", "step_20.pt", "step_3.pt", ".hidden.pt", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in run_checkpoints(tmp_path)] == ["step_3.pt", "step_20.pt", "step_100.pt"]
    assert run_checkpoints(tmp_path / "step_3.pt") == [tmp_path / "step_3.pt"]


def test_runs_without_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no run"):
        run_checkpoints(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="train with `--keep-every`"):
        run_checkpoints(tmp_path)


def test_the_last_and_the_best_network_of_a_training_that_kept_none_are_no_way(tmp_path: Path) -> None:
    for name in ("best.safetensors", "model.safetensors", "state.ckpt"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match="train with `--keep-every`"):
        run_checkpoints(tmp_path)


def test_networks_that_do_not_fit_are_told_by_the_option_that_names_them(
    run: Path, models: Mapping[str, Classifier]
) -> None:
    ((name, model),) = models.items()
    with pytest.raises(
        ValueError, match=r"`--directions pca:…` must span a plane, which takes at least 3 networks, got 1"
    ):
        span_planes(f"pca:{run / 'model.safetensors'}", models, IMAGES)
    other = run.parent / "other.safetensors"
    save_checkpoint(other, model, **{**model.meta, "mean": [0.0] * 3})
    plane = span_planes(f"pca:{run}", models, IMAGES)[name]
    with pytest.raises(ValueError, match="`--trajectory` must take images as `model` does"):
        placed_runs(plane, model, [other])


def test_a_plane_of_a_training_is_that_of_its_principal_components(
    run: Path, models: Mapping[str, Classifier], tmp_path: Path
) -> None:
    (plane,) = span_planes(f"pca:{run}", models, IMAGES).values()
    (model,) = models.values()
    _, expected = pca_directions(model, run_checkpoints(run))
    (path,) = plane.trajectories
    np.testing.assert_allclose(path.alphas, expected.alphas)
    np.testing.assert_allclose([path.alphas[-1], path.betas[-1]], 0, atol=1e-5)
    assert path.name == "sgd"
    (subject,) = make_subjects(models, IMAGES, tmp_path, seeds=[0], planes={"resnet20": plane})
    assert subject.meta["direction_file"] == "pca:sgd"
    assert subject.meta["direction_path"] == f"pca:{run}"
    own, walk = 100 * path.shares[0], 100 * path.random_walk_shares[0]
    assert subject.meta["axes"][0] == f"PC 1 ({own:.0f} % of the path; random walk {walk:.0f} %)"
    assert Trajectory.from_entry(subject.meta["trajectories"][0]).labels == path.labels
    assert "seed" not in subject.meta


def test_several_trainings_share_a_plane_and_one_more_is_seen_in_it(
    run: Path, other: Path, models: Mapping[str, Classifier]
) -> None:
    (plane,) = span_planes(f"pca:{run},{other}", models, IMAGES).values()
    assert [one.name for one in plane.trajectories] == ["sgd", "adam"]
    assert plane.meta["axes"] == ["PC 1", "PC 2"]
    (model,) = models.values()
    (alone,) = span_planes(f"pca:{run}", models, IMAGES).values()
    seen = placed_runs(alone, model, [other])
    assert [one.name for one in seen.trajectories] == ["sgd", "adam"]
    assert seen.trajectories[1].distance.min() > seen.trajectories[0].distance.max()


def test_a_plane_through_three_networks_has_them_at_their_places(
    run: Path, other: Path, models: Mapping[str, Classifier]
) -> None:
    (plane,) = span_planes(
        f"plane:{other / 'model.safetensors'},{run / 'kept/epoch0000.safetensors'}", models, IMAGES
    ).values()
    (points,) = plane.trajectories
    assert not points.joined
    np.testing.assert_allclose([points.alphas[:2], points.betas[:2]], [[0, 1], [0, 0]])
    assert plane.meta["axes"][0].startswith("toward ")
    with pytest.raises(ValueError, match="takes two checkpoints besides the first, got 1"):
        span_planes(f"plane:{other / 'model.safetensors'}", models, IMAGES)


@pytest.mark.slow
def test_eigenvectors_span_a_plane(models: Mapping[str, Classifier]) -> None:
    (plane,) = span_planes("hessian", models, IMAGES, parameters="*linear*").values()
    (model,) = models.values()
    spectrum = hessian_spectrum(model, IMAGES, top=2, bottom=0, parameters="*linear*", held_out=False)
    assert plane.meta["axes"] == [
        f"eigenvector {n} (λ = {value:.4g})" for n, value in enumerate(spectrum.values[:2], 1)
    ]
    for direction, expected in zip(plane.directions, spectrum.directions, strict=False):
        assert {name: tensor.tolist() for name, tensor in direction.items()} == {
            name: tensor.tolist() for name, tensor in expected.items()
        }


def test_planes_through_one_network_are_refused_for_several(run: Path, models: Mapping[str, Classifier]) -> None:
    two = {**models, "another": next(iter(models.values()))}
    for asked in (f"pca:{run}", "plane:a.safetensors,b.safetensors"):
        with pytest.raises(ValueError, match="is a plane through one network: give one checkpoint"):
            span_planes(asked, two, IMAGES)
    with pytest.raises(ValueError, match="`--trajectory` is seen in one plane"):
        make_subjects(models, IMAGES, Path("out"), seeds=[0, 1], runs=[run])


def test_what_is_no_plane_is_refused_with_what_would_be(models: Mapping[str, Classifier]) -> None:
    with pytest.raises(
        FileNotFoundError, match="there is no direction file pcaa:x: `--directions` takes a direction file, pca"
    ):
        span_planes("pcaa:x", models, IMAGES)


def test_a_grid_frames_the_networks_and_the_origin() -> None:
    path = make_path()
    alphas, betas = frame_axes([path], 21)
    np.testing.assert_allclose([alphas[0], alphas[-1]], [-0.9 - 0.24, 0.3 + 0.24])
    assert len(alphas) == 21
    np.testing.assert_allclose(np.ptp(betas) / np.ptp(alphas), 1 / 1.4)
    assert betas[0] <= -0.3 - 0.24
    assert betas[-1] >= 0.4 + 0.24
    np.testing.assert_allclose(np.diff(betas)[0], np.diff(alphas)[0], rtol=0.05)
    far, _ = frame_axes([Trajectory.from_entry({**path.to_entry(), "alphas": [3.0, 3.5, 3.2, 4.0]})], 5)
    assert far[0] <= 0 <= far[-1]


def test_subjects_with_networks_have_a_grid_of_their_own(
    run: Path, models: Mapping[str, Classifier], tmp_path: Path
) -> None:
    (subject,) = make_subjects(models, IMAGES, tmp_path, seeds=[0], runs=[run])
    axes = framed_axes([subject], 7)
    assert axes is not None
    assert subject.meta["trajectory_paths"] == [str(run)]
    assert subject.meta["seed"] == 0
    (plain,) = make_subjects(models, IMAGES, tmp_path, seeds=[0])
    assert framed_axes([plain], 7) is None


def test_a_run_that_the_plane_is_made_of_is_shown_once(run: Path, models: Mapping[str, Classifier]) -> None:
    (plane,) = span_planes(f"pca:{run}", models, IMAGES).values()
    (model,) = models.values()
    assert [one.name for one in placed_runs(plane, model, [run]).trajectories] == ["sgd"]
