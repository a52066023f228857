import json
from pathlib import Path

import numpy as np
import pytest

from gradscape.landscape import Surface, Topology
from gradscape.landscape.statistics import BlockStatistics
from tests.landscape.noisy_surfaces import NOISES, drawn_surface
from tests.landscape.topology.surfaces import himmelblau, surface_of_function, surface_of_values, waves


@pytest.fixture(scope="module")
def himmelblau_topology() -> Topology:
    return surface_of_function(himmelblau, -5.5, 5.5, 301).topology()


def test_himmelblau_has_its_pairs(himmelblau_topology: Topology) -> None:
    basins, rings = himmelblau_topology.diagram(0), himmelblau_topology.diagram(1)
    np.testing.assert_allclose(sorted(basins[1:, 1]), [13.319, 67.720, 104.016], atol=5e-4)
    np.testing.assert_allclose(rings, [[178.331, 181.611]], atol=5e-4)
    # What the function itself has, but for the steps of the grid.
    np.testing.assert_allclose(sorted(basins[1:, 1]), [13.312, 67.719, 104.015], atol=8e-3)
    np.testing.assert_allclose(rings, [[178.337, 181.617]], atol=8e-3)
    assert basins[0, 1] == np.inf
    assert himmelblau_topology.band == 0
    assert himmelblau_topology.kept.all()


def test_himmelblau_has_its_critical_points(himmelblau_topology: Topology) -> None:
    minima = sorted((point.alpha, point.beta) for point in himmelblau_topology.minima)
    np.testing.assert_allclose(
        minima, [(-3.779, -3.283), (-2.805, 3.131), (3, 2), (3.584, -1.848)], atol=0.025
    )  # of half a step
    (top,) = himmelblau_topology.maxima
    assert (top.alpha, top.beta) == pytest.approx((-0.271, -0.923), abs=0.025)
    # Every regular point would be a saddle where signs around it are counted without care.
    assert len(himmelblau_topology.saddles) == 4
    assert not any(point.on_edge for point in himmelblau_topology.minima)


@pytest.mark.parametrize(("periods", "minima"), [(1, 2), (2, 8)])
def test_waves_have_their_pairs_although_all_are_tied(periods: int, minima: int) -> None:
    topology = surface_of_function(waves, 0, 2 * np.pi * periods, 40 * periods + 1).topology()
    basins, rings = (
        topology.diagram(dimension)[topology.kept[topology.dimension == dimension]] for dimension in (0, 1)
    )
    np.testing.assert_allclose(basins, [(-1, np.inf), *[(-1, 0)] * (minima - 1)], atol=1e-9)
    np.testing.assert_allclose(rings, [(0, 1)] * minima, atol=1e-9)
    assert len(topology.minima) == len(topology.maxima) == minima


def test_minima_less_saddles_and_more_maxima_are_one() -> None:
    for seed in range(4):
        topology = surface_of_values(np.random.default_rng(seed).normal(size=(9, 14))).topology()
        assert len(topology.minima) - len(topology.saddles) + len(topology.maxima) == 1
        assert {topology.pairs[0].persistence} == {np.inf}


def test_a_slope_has_no_saddle() -> None:
    alphas, betas = np.meshgrid(np.arange(6.0), np.arange(4.0))
    topology = surface_of_values(2 * alphas + betas).topology()
    assert [(point.alpha, point.beta, point.on_edge) for point in topology.minima] == [(0, 0, True)]
    assert topology.saddles == topology.maxima == []


def test_pairs_know_where_they_begin_and_end() -> None:
    row = np.array([1.0, 5.0, 2.0, 4.0, 3.0, 9.0, 0.0])
    topology = surface_of_values(np.stack([row, row + 20])).topology()
    assert topology.into.tolist() == [-1, 0, 1, 2]
    second = topology.pairs[1]
    assert (second.dimension, second.birth, second.death, second.persistence) == (0, 1, 9, 8)
    assert second.last is not None
    assert (second.first.kind, second.first.alpha, second.last.kind, second.last.alpha) == ("minimum", 0, "saddle", 5)
    assert topology.pairs[0].last is None


def test_points_that_are_not_finite_are_walls_and_told() -> None:
    values = np.array([[0.0, np.nan, 1.0], [2.0, np.inf, 3.0], [4.0, -np.inf, 5.0]])
    topology = surface_of_values(values).topology()
    assert topology.diagram(0).tolist() == [[0, np.inf], [1, np.inf]]
    assert topology.notes[0] == "3 points without a finite loss are left out, as if they were above all others"
    with pytest.raises(ValueError, match="must have a finite loss somewhere"):
        surface_of_values(np.full((3, 3), np.nan)).topology()


def test_nothing_is_found_in_what_rounding_made() -> None:
    generator = np.random.default_rng(0)
    values = 3 + 1e-8 * generator.normal(size=(8, 9))
    topology = surface_of_values(values).topology()
    assert len(topology.dimension) > 3
    assert int(topology.kept.sum()) == 1


def test_noise_of_images_makes_no_minima_but_is_listed() -> None:
    topology = drawn_surface("bowl", NOISES["loud"], blocks=16, seed=4).topology()
    assert len(topology.minima) == 1
    assert (topology.dimension == 0).sum() > 1
    assert np.array_equal(topology.kept, topology.persistence > 2 * topology.band)
    assert topology.blocks == 16


def test_a_basin_deeper_than_the_noise_is_kept() -> None:
    surface = drawn_surface("bowl", NOISES["jitter"], blocks=64, seed=0)
    mean = surface.blocks.mean.copy()
    mean[:, 3, 4] -= 3
    fields = {name: getattr(surface.blocks, name) for name in surface.blocks.arrays()}
    blocks = BlockStatistics(**{**fields, "mean": mean}, population=surface.blocks.population)
    dug = Surface(alphas=surface.alphas, betas=surface.betas, blocks=blocks, origin=surface.origin, meta={})
    assert len(dug.topology().minima) == 2


def test_points_are_compared_on_the_images_that_all_saw() -> None:
    surface = drawn_surface("bowl", NOISES["student"], blocks=20, seed=0)
    arrays = {name: getattr(surface.blocks, name).copy() for name in surface.blocks.arrays()}
    for name, empty in {"count": 0, "mean": np.nan, "m2": np.nan, "right": np.nan, "nonfinite": 0}.items():
        arrays[name][16:, 2:5] = empty
    partly = Surface(
        alphas=surface.alphas,
        betas=surface.betas,
        blocks=BlockStatistics(**arrays, population=2**53),
        origin=surface.origin,
        meta={},
    )
    topology = partly.topology()
    np.testing.assert_allclose(topology.values, surface.blocks.mean[:16].mean(axis=0))
    assert topology.notes[0] == "values are those of the 512 images that every point saw"
    arrays["count"][:, 0, 0] = 0
    broken = BlockStatistics(**arrays, population=2**53)
    with pytest.raises(ValueError, match="let its evaluation go on"):
        Surface(alphas=surface.alphas, betas=surface.betas, blocks=broken, origin=surface.origin, meta={}).topology()


def test_error_has_a_topology_too() -> None:
    topology = drawn_surface("egg box", NOISES["student"], blocks=16, seed=0).topology("error")
    assert (topology.value, topology.unit) == ("error", "share")
    assert 0 < topology.band < 1


def test_mistakes_are_named() -> None:
    surface = surface_of_function(waves, 0, 1, 3)
    for options, said in (
        ({"confidence": 1.0}, "`confidence` must lie between 0 and 1"),
        ({"resamples": 10}, "`resamples` must be at least 50"),
        ({"value": "loss_stderr"}, "`value`"),
    ):
        with pytest.raises(ValueError, match=said):
            surface.topology(**options)
    with pytest.raises(ValueError, match="at least 2×2 points"):
        surface_of_values(np.zeros((1, 5))).topology()


def test_file_gives_it_back(tmp_path: Path) -> None:
    for number, surface in enumerate(
        (
            drawn_surface("bowl", NOISES["loud"], blocks=16, seed=4),
            drawn_surface("bowl", NOISES["loud"], blocks=4, seed=1),
        )
    ):
        topology, path = surface.topology(), tmp_path / f"{number}.npz"
        topology.save(path)
        found = Topology.load(path)
        assert repr(found) == repr(topology)
        assert found.notes == topology.notes
        assert found.pairs == topology.pairs
        assert np.array_equal(found.kept, topology.kept)


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "topology.npz"
    surface_of_function(waves, 0, 6, 9).topology().save(path)
    with np.load(path) as file:
        arrays = dict(file)
    meta = json.loads(str(arrays["meta"]))
    for change, said in (
        ({"birth_at": arrays["birth_at"] + 1000}, "`birth_at` must hold"),
        ({"birth": arrays["birth"] + 1}, "`birth` is not what"),
        ({"values": arrays["values"][:-1]}, "`values` must be"),
        ({"meta": np.array(json.dumps({**meta, "topology": {}}))}, "topology"),
    ):
        np.savez(path, **{**arrays, **change})
        with pytest.raises(ValueError, match=said):
            Topology.load(path)


def test_a_valley_across_the_grid_is_one_basin() -> None:
    alphas, betas = np.meshgrid(np.arange(9.0), np.arange(9.0))
    values = 5 * np.abs(alphas - betas) + 0.1 * alphas
    topology = surface_of_values(values).topology()
    assert (topology.dimension == 0).sum() == 9
    assert len(topology.minima) == 1
    assert topology.notes == ("8 basins are valleys finer than the grid, left out: take more steps",)
    assert topology.unresolved.tolist() == [False, *[True] * 8]
    ridge = surface_of_values(-values).topology()
    assert len(ridge.maxima) <= 1
