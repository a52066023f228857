from typing import Any

import numpy as np
import pytest

from gradscape.landscape.statistics import UNKNOWN_POPULATION, BlockStatistics
from gradscape.landscape.topology.noise_band import find_noise_band
from tests.landscape.noisy_surfaces import BLOCK_IMAGES, NOISES, TRUTHS, drawn_surface

GRID = (5, 7)
ASKED: dict[str, Any] = {"confidence": 0.95, "resamples": 300, "seed": 0}


def blocks_of(mean: np.ndarray, *, population: int = UNKNOWN_POPULATION) -> BlockStatistics:
    count = np.full(mean.shape, BLOCK_IMAGES)
    return BlockStatistics(count, mean, np.ones(mean.shape), count / 4, np.zeros(mean.shape, int), population)


def test_band_ignores_what_all_points_share() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(16, *GRID))
    own, shifted = (
        find_noise_band(blocks_of(noise + shift), "loss", **ASKED).half_width
        for shift in (0.0, 100 * generator.normal(size=(16, 1, 1)))
    )
    assert own == pytest.approx(shifted, rel=1e-9)
    assert own > 0


def test_two_values_have_a_band_of_half_their_paired_interval() -> None:
    # Of two points, half of the range is half of the difference's deviation, which is normal here.
    generator = np.random.default_rng(1)
    blocks = 400
    mean = np.zeros((blocks, 1, 2))
    mean[..., 1] = generator.normal(scale=3.0, size=(blocks, 1))
    found = find_noise_band(blocks_of(mean), "loss", confidence=0.95, resamples=4000, seed=0)
    assert found.half_width == pytest.approx(1.96 * 3 / np.sqrt(blocks) / 2, rel=0.08)
    assert found.blocks == blocks


def test_band_is_nothing_with_all_images_and_less_with_more_of_them() -> None:
    mean, images = np.random.default_rng(2).normal(size=(16, *GRID)), 16 * BLOCK_IMAGES
    widths = [
        find_noise_band(blocks_of(mean, population=population), "loss", **ASKED).half_width
        for population in (UNKNOWN_POPULATION, 2 * images, images)
    ]
    assert widths[1] == pytest.approx(widths[0] / np.sqrt(2), rel=1e-6)
    assert widths[2] == 0


def test_few_blocks_give_no_band_and_say_so() -> None:
    found = find_noise_band(blocks_of(np.random.default_rng(3).normal(size=(7, *GRID))), "loss", **ASKED)
    assert np.isnan(found.half_width)
    assert found.note.startswith("7 blocks of images, where 8 are needed")


def test_band_of_points_and_blocks_that_cannot_tell() -> None:
    mean = np.random.default_rng(4).normal(size=(16, *GRID))
    mean[:, 2, 3] = np.nan
    assert np.isfinite(find_noise_band(blocks_of(mean), "loss", **ASKED).half_width)
    assert find_noise_band(blocks_of(np.full((16, *GRID), np.nan)), "loss", **ASKED).half_width == 0


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["student", "loud"])
@pytest.mark.parametrize("blocks", [8, 16])
def test_band_covers_the_truth_and_noise_on_a_bowl_keeps_one_minimum(noise: str, blocks: int) -> None:
    draws, covered, alone, raw = 100, 0, 0, 0
    for seed in range(draws):
        surface = drawn_surface("bowl", NOISES[noise], blocks=blocks, seed=seed)
        topology = surface.topology(resamples=200)
        truth = TRUTHS["bowl"](*np.meshgrid(surface.alphas, surface.betas))
        covered += bool(np.ptp(surface.loss - truth) / 2 <= topology.band)
        alone += len(topology.minima) == 1
        raw += int((topology.dimension == 0).sum())
    assert covered >= 90
    assert alone >= 95
    assert noise != "loud" or raw > 1.5 * draws  # there was noise that made minima
