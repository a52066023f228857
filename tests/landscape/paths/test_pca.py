from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from gradscape._checkpoint import Classifier, save_checkpoint
from gradscape.landscape import Direction, Trajectory, pca_directions
from gradscape.landscape.paths import weights
from tests.landscape.networks import small_net
from tests.landscape.paths.networks import Matrix, plane, row, rows, walk, wandering

NETS = wandering(9)


def test_directions_coordinates_and_shares_are_those_of_scikit_learn() -> None:
    directions, path = pca_directions(NETS[-1], NETS)
    oracle = PCA(2, svd_solver="full").fit(rows(NETS))
    signs = np.sign((plane(directions) * oracle.components_).sum(axis=1))
    np.testing.assert_allclose(plane(directions), signs[:, None] * oracle.components_, atol=1e-6)
    np.testing.assert_allclose(path.shares, oracle.explained_variance_ratio_, rtol=1e-9)
    places = signs * oracle.transform(rows(NETS))
    found = np.stack([path.alphas, path.betas], axis=1)
    np.testing.assert_allclose(found - found.mean(axis=0), places, atol=1e-5)
    np.testing.assert_allclose(plane(directions) @ plane(directions).T, np.eye(2), atol=1e-6)


def test_centered_by_the_final_network_they_are_its_differences_singular_vectors() -> None:
    directions, path = pca_directions(NETS[-1], NETS, centering="final")
    values, vectors = np.linalg.svd(rows(NETS)[:-1] - row(NETS[-1]), full_matrices=False)[1:]
    assert np.abs((plane(directions) * vectors[:2]).sum(axis=1)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(path.shares, values[:2] ** 2 / (values**2).sum(), rtol=1e-9)


def test_the_plane_goes_through_the_model_and_distances_are_measured_from_it() -> None:
    directions, path = pca_directions(NETS[3], NETS)
    off = rows(NETS) - row(NETS[3])
    places, *_ = np.linalg.lstsq(plane(directions).T, off.T)
    np.testing.assert_allclose([path.alphas, path.betas], places, atol=1e-5)
    np.testing.assert_allclose(path.distance, np.linalg.norm(off - places.T @ plane(directions), axis=1), atol=1e-5)
    assert (path.alphas[3], path.betas[3], path.distance[3]) == (0, 0, 0)


def test_the_first_network_lies_at_the_left_and_at_the_bottom_whatever_the_model() -> None:
    for nets in (NETS, NETS[::-1]):
        path = pca_directions(NETS[4], nets)[1]
        assert path.alphas[0] < path.alphas.mean()
        assert path.betas[0] < path.betas.mean()


@pytest.mark.parametrize("centering", ["mean", "final"])
@pytest.mark.parametrize("steps", [6, 40])
def test_a_random_walk_explains_what_is_told_of_one(steps: int, centering: Any) -> None:
    path = pca_directions(Matrix(torch.zeros(3, steps).double()), walk(steps), centering=centering)[1]
    np.testing.assert_allclose(path.shares, path.random_walk_shares, rtol=1e-9)
    number = np.array([1, 2])
    if centering == "mean":  # the pseudoinverse of a path's Laplacian
        known = 1.5 / (((steps + 1) ** 2 - 1) * np.sin(np.pi * number / (2 * steps + 2)) ** 2)
    else:
        known = 0.5 / np.sin((2 * number - 1) * np.pi / (4 * steps + 2)) ** 2 / (steps * (steps + 1))
    np.testing.assert_allclose(path.random_walk_shares, known, rtol=1e-9)


@pytest.mark.parametrize(
    ("centering", "limit", "printed"),
    [
        ("mean", [6 / np.pi**2, 6 / (2 * np.pi) ** 2], [0.6079, 0.1520]),
        ("final", [8 / np.pi**2, 8 / (3 * np.pi) ** 2], [0.8106, 0.0901]),
    ],
)
def test_long_random_walks_explain_the_published_shares(
    centering: Any, limit: list[float], printed: list[float]
) -> None:
    steps = 250
    path = pca_directions(Matrix(torch.zeros(3, steps).double()), walk(steps), centering=centering)[1]
    np.testing.assert_allclose(path.random_walk_shares, limit, rtol=5e-3)
    np.testing.assert_allclose(limit, printed, atol=5e-5)


def test_read_in_small_parts_they_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, path = pca_directions(NETS[-1], NETS, space="states")
    monkeypatch.setattr(weights, "_MOST_NUMBERS", 9 * 70)  # seventy numbers of each network at a time
    parts, again = pca_directions(NETS[-1], NETS, space="states")
    for one, other in zip(whole, parts, strict=True):
        assert one.keys() == other.keys()
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(again.alphas, path.alphas, atol=1e-6)
    np.testing.assert_allclose(again.distance, path.distance, atol=1e-5)


def test_running_statistics_go_along_by_the_same_networks_and_count_for_nothing() -> None:
    still, path = pca_directions(NETS[-1], NETS)
    moving, other = pca_directions(NETS[-1], NETS, space="states")
    assert moving[0].keys() - still[0].keys() == {"1.running_mean", "1.running_var"}
    assert plane(moving) == pytest.approx(plane(still))
    assert other.to_entry() == path.to_entry()
    # The direction is a sum of networks, which the parameters tell.
    shares, *_ = np.linalg.lstsq((rows(NETS) - rows(NETS).mean(axis=0)).T, row(moving[0]))
    means = torch.stack([net.state_dict()["1.running_mean"] for net in NETS]).double()
    expected = torch.from_numpy(shares) @ (means - means.mean(0))
    torch.testing.assert_close(moving[0]["1.running_mean"].double(), expected, rtol=1e-4, atol=1e-6)


def test_paths_of_any_kind_modules_and_dicts_are_read_alike(tmp_path: Path) -> None:
    about: dict[str, Any] = {"name": "small", "num_classes": 5, "image_size": 7, "mean": (0.5,) * 3, "std": (0.25,) * 3}
    files, foreign, bare = [], [], []
    (tmp_path / "adam" / "kept").mkdir(parents=True)
    for number, net in enumerate(NETS):
        files.append(tmp_path / "adam" / "kept" / f"epoch{number:04d}.safetensors")
        save_checkpoint(files[-1], net, **about)
        foreign.append(tmp_path / f"{number}.pt")
        torch.save({"state_dict": {f"module.{name}": one for name, one in net.state_dict().items()}}, foreign[-1])
        bare.append(net.state_dict())
    model = Classifier(NETS[-1], {**about, "mean": [0.5] * 3, "std": [0.25] * 3, "labels": None})
    wanted = pca_directions(NETS[-1], NETS)[1]
    for checkpoints in (files, foreign, bare):
        path = pca_directions(model, checkpoints)[1]
        np.testing.assert_array_equal([path.alphas, path.betas], [wanted.alphas, wanted.betas])
        if checkpoints is files:
            assert (path.name, path.labels[::8]) == ("adam", ("epoch 0", "epoch 8"))
        elif checkpoints is foreign:
            assert path.labels[0] == "0"
    other = Classifier(NETS[-1], {**about, "mean": [0.5] * 3, "std": [0.2] * 3, "labels": None})
    with pytest.raises(ValueError, match="`checkpoints` must take images as `model` does"):
        pca_directions(other, files)


def test_several_runs_lie_in_one_plane_beside_walks_from_one_start() -> None:
    steps = 12
    model = Matrix(torch.zeros(3, steps).double())
    runs = {"sgd": walk(steps), "adam": walk(steps, axis=1, length=3.0), "sam": walk(steps // 2 * 2, axis=2)}
    directions, paths = pca_directions(model, runs)
    assert list(paths) == [path.name for path in paths.values()] == ["sgd", "adam", "sam"]
    everything = np.concatenate([[one["weight"].numpy().ravel() for one in run] for run in runs.values()])
    oracle = PCA(2, svd_solver="full").fit(everything)
    spanned = np.stack([one["weight"].numpy().ravel() for one in directions])
    assert np.abs((spanned * oracle.components_).sum(axis=1)) == pytest.approx(1)
    for path, run in zip(paths.values(), runs.values(), strict=True):
        own = np.stack([one["weight"].numpy().ravel() for one in run])
        own = own - own.mean(axis=0)
        shares = ((own @ spanned.T) ** 2).sum(axis=0) / (own**2).sum()
        np.testing.assert_allclose(path.shares, shares, atol=1e-12)
        np.testing.assert_allclose(path.random_walk_shares, shares, atol=1e-12)  # for they are walks


def test_of_runs_from_several_starts_no_walk_is_told() -> None:
    _, paths = pca_directions(NETS[0], {"first": NETS[:4], "second": NETS[4:]})
    for path in paths.values():
        assert np.isnan(path.random_walk_shares).all()
        assert not np.isnan(path.shares).any()


def test_complex_and_half_precision_weights_are_counted_too() -> None:
    states = [{"weight": torch.randn(3, 5, dtype=torch.complex64)} for _ in range(4)]
    (first, second), path = pca_directions(Matrix(states[-1]["weight"]), states)
    assert first["weight"].is_complex()
    assert first["weight"].abs().square().sum() == pytest.approx(1)
    both = torch.vdot(first["weight"].flatten(), second["weight"].flatten()).real
    assert both == pytest.approx(0, abs=1e-6)
    halves = [{"weight": torch.randn(30, 50).half()} for _ in range(4)]
    (first, _), path = pca_directions(Matrix(halves[-1]["weight"]), halves)
    assert first["weight"].dtype == torch.float16
    assert first["weight"].double().norm() == pytest.approx(1, rel=1e-2)
    assert path.distance[-1] == 0


def _without(net: nn.Module, name: str) -> dict[str, torch.Tensor]:
    return {key: one for key, one in net.state_dict().items() if key != name}


BAD = {"7.bias": torch.full((5,), torch.nan)}
REFUSED: list[tuple[Any, dict[str, str], str]] = [
    (NETS[:2], {}, "`checkpoints` must span a plane, which takes at least 3 networks, got 2"),
    (NETS[:1], {}, "at least 3 networks, got 1"),
    ([NETS[0], NETS[0], NETS[1], NETS[0]], {}, "the 4 networks lie on a line"),
    (NETS, {"centering": "median"}, "`centering` must be mean or final, got 'median'"),
    ({"a": NETS[:4], "b": NETS[4:]}, {"centering": "final"}, "`centering` must be mean for several runs"),
    ([], {}, "`checkpoints` must hold at least one network"),
    ({}, {}, "`checkpoints` must hold at least one run"),
    ([*NETS, _without(NETS[0], "0.bias")], {}, r"network 10 has not: it lacks 0\.bias"),
    ([*NETS, {**NETS[0].state_dict(), "head": torch.ones(1)}], {}, "it has besides head"),
    ([*NETS, {**NETS[0].state_dict(), "0.bias": torch.ones(3)}], {}, r"of another shape or kind is 0\.bias"),
    ([*NETS, {**NETS[0].state_dict(), **BAD}], {}, "those of network 10 are not all"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("checkpoints", "options", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_spans_no_plane_or_does_not_fit_is_refused(checkpoints: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pca_directions(small_net(), checkpoints, **options)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    net = small_net()
    for nonsense, message in (
        ([1, 2, 3], "got a int"),
        (net.state_dict(), "must be a list of networks, got a Tensor"),
        ("run", "must be a list of networks"),
        ([{"0.bias": "text"}], "got a dict of str"),
    ):
        with pytest.raises(TypeError, match=message):
            pca_directions(net, nonsense)  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError):
        pca_directions(net, [tmp_path / "nothing.safetensors"])
    torch.save({"first": net.state_dict(), "second": net.state_dict()}, tmp_path / "two.pt")
    with pytest.raises(ValueError, match=r"two\.pt holds the network 2 times: first, second"):
        pca_directions(net, [tmp_path / "two.pt"])


def test_networks_are_only_read() -> None:
    nets = wandering(4)
    nets[1].train()
    before = [{name: one.clone() for name, one in net.state_dict().items()} for net in nets]
    state = torch.get_rng_state()
    directions: tuple[Direction, Direction]
    directions, path = pca_directions(nets[-1], nets)
    assert isinstance(path, Trajectory)
    for tensor in directions[0].values():
        tensor.add_(1)
    for net, old in zip(nets, before, strict=True):
        assert all(torch.equal(one, old[name]) for name, one in net.state_dict().items())
        assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert nets[1].training
    assert torch.equal(torch.get_rng_state(), state)
