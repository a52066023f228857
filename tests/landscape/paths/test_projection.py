from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape.landscape import Direction, load_directions, project, project_each, random_directions, save_directions
from tests.landscape.networks import small_net
from tests.landscape.paths.networks import plane, row, rows, wandering

NETS = wandering(5)
MODEL = NETS[2]


def moved(directions: tuple[Direction, Direction], alpha: float, beta: float) -> dict[str, torch.Tensor]:
    """The network at a point of a plane."""
    zero = torch.zeros(())
    return {
        name: one + alpha * directions[0].get(name, zero) + beta * directions[1].get(name, zero)
        for name, one in MODEL.state_dict().items()
    }


def oblique(*, states: bool = False) -> tuple[Direction, Direction]:
    """Two directions of other lengths than 1, 53° apart."""
    one, other = random_directions(
        MODEL, seed=3, ignore="none", space="states" if states else "weights", normalize="none"
    )
    return {name: 3 * one[name] for name in one}, {name: one[name] + 0.8 * other[name] for name in one}


def test_points_of_an_oblique_plane_are_found_again() -> None:
    directions = oblique()
    path = project([moved(directions, 0.5, -0.25), moved(directions, -2.0, 0.0)], MODEL, directions)
    np.testing.assert_allclose(path.alphas, [0.5, -2.0], rtol=1e-5)
    np.testing.assert_allclose(path.betas, [-0.25, 0.0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(path.distance, 0, atol=1e-4)


def test_coordinates_are_not_divided_by_the_length_alone() -> None:
    """Goldstein's tool divides by ‖d‖ where the square is needed, and takes one direction at a time."""
    directions = oblique()
    network = moved(directions, 0.5, -0.25)
    change, axes = row(network) - row(MODEL), plane(directions)
    faulty = axes @ change / np.linalg.norm(axes, axis=1)
    apart = axes @ change / (axes**2).sum(axis=1)
    path = project([network], MODEL, directions)
    found = np.array([path.alphas[0], path.betas[0]])
    assert found == pytest.approx([0.5, -0.25], rel=1e-5)
    assert (np.abs(faulty - found) > 0.1).any()
    assert (np.abs(apart - found) > 0.01).all()


def test_networks_off_the_plane_have_their_nearest_point_and_distance() -> None:
    directions = oblique()
    path = project(NETS, MODEL, directions)
    off = rows(NETS) - row(MODEL)
    places, *_ = np.linalg.lstsq(plane(directions).T, off.T)
    np.testing.assert_allclose([path.alphas, path.betas], places, rtol=1e-6)
    rest = off - places.T @ plane(directions)
    np.testing.assert_allclose(path.distance, np.linalg.norm(rest, axis=1), rtol=1e-6)
    assert path.distance[2] == 0
    centered = off - off.mean(axis=0)
    basis = np.linalg.qr(plane(directions).T)[0]
    np.testing.assert_allclose(path.shares, ((centered @ basis) ** 2).sum(axis=0) / (centered**2).sum(), rtol=1e-6)
    assert np.isnan(path.random_walk_shares).all()


def test_planes_through_each_network_show_what_each_by_itself_would() -> None:
    directions = oblique()
    seen = project_each(NETS, MODEL, directions)
    for number, path in enumerate(seen):
        alone = project(NETS[: number + 1], NETS[number], directions)
        for name in ("alphas", "betas", "distance"):
            np.testing.assert_allclose(getattr(path, name), getattr(alone, name), rtol=1e-6, atol=1e-7)
        assert path.distance[-1] == 0
        assert np.isnan(path.shares).all()


def test_running_statistics_count_for_nothing() -> None:
    weights, states = oblique(), oblique(states=True)
    assert states[0].keys() - weights[0].keys()
    with_states, without = (project(NETS, MODEL, one) for one in (states, weights))
    np.testing.assert_array_equal(with_states.alphas, without.alphas)
    np.testing.assert_array_equal(with_states.distance, without.distance)


def test_a_direction_may_lack_tensors_and_come_from_a_file(tmp_path: Path) -> None:
    one, other = random_directions(MODEL, seed=1, ignore="none")
    few = {"7.weight": one["7.weight"]}, {"0.weight": other["0.weight"], "7.weight": 0 * one["7.weight"]}
    path = project(NETS, MODEL, few)
    save_directions(tmp_path / "few.h5", few, MODEL)
    again = project(NETS, MODEL, load_directions(tmp_path / "few.h5", MODEL))
    np.testing.assert_array_equal(path.alphas, again.alphas)
    change = NETS[0].state_dict()["7.weight"] - MODEL.state_dict()["7.weight"]
    assert path.alphas[0] == pytest.approx(float((change * one["7.weight"]).sum() / one["7.weight"].square().sum()))


def test_one_network_has_no_shares() -> None:
    assert np.isnan(project([NETS[0]], MODEL, oblique()).shares).all()


def test_directions_that_span_no_plane_are_refused() -> None:
    first, second = oblique()
    twice = {name: -2 * one for name, one in first.items()}
    still = {name: 0 * one for name, one in first.items()}
    for directions, message in (
        ((first, twice), "are parallel"),
        ((first, still), "one moves none"),
        ((first,), "`directions` must be the two of a plane, got 1"),
        ((first, {"head": torch.ones(2)}), "`directions` name head"),
        ((first, {"0.bias": torch.ones(2)}), r"`directions` have the shape \(2,\) for 0\.bias"),
    ):
        with pytest.raises(ValueError, match=message):
            project(NETS, MODEL, directions)
    assert project(NETS, small_net(), (first, second)).joined
