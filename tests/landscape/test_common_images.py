"""Surfaces that have seen different numbers of images, brought to those that all have."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gradscape.landscape import Surface
from gradscape.landscape.common_images import on_common_images, unlike_images
from gradscape.landscape.estimator import grid_levels
from gradscape.landscape.statistics import BlockStatistics
from tests.landscape.estimator.simulated import bowls, egg_boxes, estimated_surface, measured

ALPHAS, BETAS = np.linspace(-1, 1, 13), np.linspace(-1, 1, 13)
LEVELS = grid_levels([BETAS, ALPHAS])
POPULATION, BLOCK = 2048, 16


def losses(seed: int) -> np.ndarray:
    """(points, images), with something in common for all seeds."""
    return bowls(ALPHAS, POPULATION, seed=0) + 0.7 * bowls(ALPHAS, POPULATION, seed=seed)


def by_regression(of: np.ndarray, images: Sequence[int], block: int = BLOCK) -> Surface:
    return estimated_surface(measured(of, LEVELS, images, POPULATION, block=block), ALPHAS, BETAS)


def by_means(of: np.ndarray, images: int, block: int = BLOCK) -> Surface:
    surface = by_regression(of, [images, images], block)
    assert surface.sample is not None
    plain = surface.sample.blocks
    return replace(
        surface,
        blocks=plain.points(slice(1, None)).reshape((len(BETAS), len(ALPHAS))),
        origin=plain.points(0),
        sample=None,
    )


def brought(*surfaces: Surface) -> list[Surface]:
    return on_common_images(surfaces, (BETAS, ALPHAS))


def assert_alike(found: Surface, expected: Surface) -> None:
    for name in BlockStatistics.arrays():
        for place in ("blocks", "origin"):
            ours, theirs = (getattr(getattr(one, place), name) for one in (found, expected))
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_surfaces_that_have_seen_the_same_stay_as_they_are() -> None:
    for pair in (
        (by_means(losses(1), 256), by_means(losses(2), 256)),
        (by_regression(losses(1), [1024, 256]), by_regression(losses(2), [1024, 256])),
    ):
        assert all(one is other for one, other in zip(brought(*pair), pair, strict=True))


def test_plain_means_are_cut_to_the_images_of_the_shorter() -> None:
    long, short = by_means(losses(1), 512), by_means(losses(2), 256)
    assert unlike_images(long, short) == unlike_images(short, long) == ""
    assert_alike(brought(long, short)[0], by_means(losses(1), 256))
    difference, expected = long.difference(short), by_means(losses(1), 256).difference(short)
    np.testing.assert_array_equal(difference.loss, expected.loss)
    np.testing.assert_array_equal(difference.loss_stderr, expected.loss_stderr)
    assert (difference.images, difference.origin) == (256, expected.origin)


def test_a_last_block_of_fewer_images_does_not_count() -> None:
    long, short = by_means(losses(1), 512), by_means(losses(2), 256)
    partial = short.blocks.count.copy()
    partial[-1] = 9
    ended = replace(
        short,
        blocks=replace(short.blocks, count=partial),
        meta={"blocks": [*short.meta["blocks"][:-1], "nine images"]},
    )
    assert unlike_images(long, ended) == unlike_images(ended, long) == ""
    assert long.difference(ended).images == 240
    assert unlike_images(long, replace(short, meta=ended.meta)) == "images"


def test_points_that_one_has_not_seen_as_often_are_taken_over_what_both_have() -> None:
    whole, stopped = by_means(losses(1), 256), by_means(losses(2), 256)
    kept = np.ones(stopped.blocks.count.shape, bool)
    kept[10:, 5:] = False
    found = whole.difference(replace(stopped, blocks=stopped.blocks.only(kept)))
    for rows, images in ((slice(0, 5), 256), (slice(5, None), 160)):
        expected = by_means(losses(1), images).difference(by_means(losses(2), images))
        np.testing.assert_allclose(found.loss[rows], expected.loss[rows], rtol=1e-12)
        np.testing.assert_allclose(found.loss_stderr[rows], expected.loss_stderr[rows], rtol=1e-9)


def test_estimates_are_made_anew_from_what_each_level_has_seen_on_both(tmp_path: Path) -> None:
    first, second = by_regression(losses(1), [1024, 256]), by_regression(losses(2), [512, 384])
    found = brought(first, second)
    for one, seed in zip(found, (1, 2), strict=True):
        assert_alike(one, by_regression(losses(seed), [512, 256]))
        one.save(tmp_path / "cut.h5")
        assert_alike(Surface.load(tmp_path / "cut.h5"), one)
    difference = first.difference(second)
    np.testing.assert_allclose(difference.loss, found[0].loss - found[1].loss, atol=1e-12)
    assert difference.images == 256


def test_beside_plain_means_estimates_are_plain_means_of_what_all_points_saw() -> None:
    plain, estimated = by_means(losses(1), 512), by_regression(losses(2), [1024, 256])
    found = brought(plain, estimated)
    for one, seed in zip(found, (1, 2), strict=True):
        assert_alike(one, by_means(losses(seed), 256))
        assert one.sample is None


def test_means_over_all_images_stay_beside_estimates() -> None:
    exact, estimated = by_means(losses(1), POPULATION), by_regression(losses(2), [1024, 256])
    difference = exact.difference(estimated)
    np.testing.assert_allclose(difference.loss, exact.loss - estimated.loss, atol=1e-12)
    between = estimated.blocks.mean.std(axis=0, ddof=1) / np.sqrt(16) * np.sqrt(1 - 256 / POPULATION)
    np.testing.assert_allclose(difference.loss_stderr, between, rtol=1e-9)
    np.testing.assert_allclose(brought(exact, estimated)[0].error, exact.error, atol=1e-12)


def test_images_that_cannot_be_paired_are_refused_in_one_line() -> None:
    surface = by_means(losses(1), 256)
    every = replace(surface, blocks=replace(surface.blocks, population=256))
    others = replace(surface, meta={"blocks": [f"other{number}" for number in range(16)]})
    digests = {"blocks": [f"larger{number}" for number in range(8)]}
    larger = replace(by_means(losses(1), 256, block=32), meta=digests)
    for other, said in (
        (every, "numbers of images to draw from"),
        (others, "images"),
        (larger, "numbers of images in a block"),
    ):
        assert unlike_images(surface, other) == said
        with pytest.raises(ValueError, match=rf"has different {said}: use one data set, seed, batch size") as refused:
            surface.difference(other)
        assert "\n" not in str(refused.value)


PAIRS = {
    "two numbers at each level": ([1024, 128], [512, 256]),
    "one that knows all images of the coarse points": ([POPULATION, 128], [512, 256]),
    "one number at each level": ([1024, 128], [1024, 128]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", PAIRS)
def test_intervals_of_differences_of_estimates_hold_the_difference_over_all_images(kind: str) -> None:
    own = [egg_boxes(ALPHAS, POPULATION, seed=seed) for seed in (3, 4)]
    pair = [losses(seed) + 0.3 * apart for seed, apart in zip((1, 2), own, strict=True)]
    truth = (pair[0] - pair[1]).mean(axis=1).reshape(len(BETAS), len(ALPHAS))
    draws, held, told, squares = 200, [], 0.0, 0.0
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(POPULATION)
        surfaces = [by_regression(one[:, order], images) for one, images in zip(pair, PAIRS[kind], strict=True)]
        found = surfaces[0].difference(surfaces[1])
        off = found.loss - truth
        half = stats.t.ppf(0.975, found.images // BLOCK - 1) * found.loss_stderr
        held.append((np.abs(off) <= half).mean())
        told, squares = told + (found.loss_stderr**2).sum(), squares + (off**2).sum()
    # Points of one draw hold or fail together: no draw counts for more than one.
    least = stats.binom.ppf(0.01, draws, 0.95) / draws
    assert least < np.mean(held) < 1 - (1 - 0.95) / 3
    assert 1 / 1.3 < told / squares < 1.3
