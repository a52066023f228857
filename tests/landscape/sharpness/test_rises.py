from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradscape.landscape import Sharpness, paired_rises


def _sharpness(images: np.ndarray, drawn: np.ndarray, *, m: int = 4, population: int = 10**6, **meta: Any) -> Sharpness:
    """A random kind and a worst one with the same rises of images."""
    blocks = len(images) // m
    return Sharpness(
        cases=(("average", 0.1), ("sam", 0.1)),
        loss=np.zeros(len(images)),
        rises=np.stack([images, images]),
        drawn=np.stack([np.repeat(drawn[:, None], blocks, axis=1), np.full((len(drawn), blocks), np.nan)]),
        m=m,
        norm="l2",
        population=population,
        meta={"loss": "cross_entropy", **meta},
    )


@pytest.fixture
def spread() -> Sharpness:
    generator = np.random.default_rng(0)
    return _sharpness(generator.normal(3.0, 1.0, 80), generator.normal(3.0, 0.1, 10))


def test_a_worst_case_has_students_interval_over_sets_of_images(spread: Sharpness) -> None:
    sets = spread.rises[1].reshape(20, 4).mean(axis=1)
    expected = stats.t.interval(0.9, 19, loc=sets.mean(), scale=stats.sem(sets))
    found = spread.measure("sam", confidence=0.9)
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.value, found.unit, found.note) == (sets.mean(), "nats", "")


def test_an_average_case_counts_draws_and_images_that_are_left(spread: Sharpness) -> None:
    draws, images = spread.drawn[0, :, 0], spread.rises[0]
    parts = np.array([stats.sem(draws) ** 2, stats.sem(images) ** 2 * (1 - 80 / 10**6)])
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / 9 + parts[1] ** 2 / 79)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(parts.sum())
    found = spread.measure("average")
    assert (found.low, found.high) == pytest.approx((images.mean() - half, images.mean() + half))
    everything = _sharpness(images, draws, population=80).measure("average")
    half = stats.t.ppf(0.975, 9) * stats.sem(draws)
    assert everything.high - everything.value == pytest.approx(half)


def test_intervals_cover_what_all_images_and_draws_would_give() -> None:
    generator, hits = np.random.default_rng(1), {"average": 0, "sam": 0}
    for _ in range(400):
        draws, images = generator.normal(0, 0.3, 10), generator.gamma(2.0, 1.0, 160)
        measured = _sharpness(images + draws.mean(), draws + images.mean(), m=8)
        for kind in hits:
            # A worst case has no draws: its rises here are those of the images alone.
            found = (measured if kind == "average" else _sharpness(images, draws, m=8)).measure(kind)
            hits[kind] += found.low < 2.0 < found.high
    assert all(0.92 <= count / 400 <= 0.98 for count in hits.values())


def test_what_two_networks_share_cancels_in_their_difference(spread: Sharpness) -> None:
    other = _sharpness(spread.rises[0] - 0.5, spread.drawn[0, :, 0] - 0.5)
    for kind in ("average", "sam"):
        found = paired_rises(spread, other, kind)
        assert (found.low, found.value, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_few_sets_few_images_and_rises_that_are_not_finite_are_told(spread: Sharpness) -> None:
    few = _sharpness(spread.rises[0, :28], spread.drawn[0, :, 0]).measure("sam")
    assert np.isnan([few.low, few.high]).all()
    assert few.note == "no interval: 7 sets of m images, of 8 needed"
    alone = np.where(np.arange(80) == 3, 100.0, 0.0)
    for kind in ("average", "sam"):
        assert _sharpness(alone, np.ones(10)).measure(kind).note == "unreliable: few images carry it"
    broken = _sharpness(np.where(np.arange(80) == 3, np.inf, 1.0), np.ones(10)).measure("sam")
    assert (broken.value, broken.note) == (np.inf, "not finite on some images")


def test_a_file_holds_it_all_again(spread: Sharpness, tmp_path: Path) -> None:
    spread.save(tmp_path / "sharpness.npz")
    again = Sharpness.load(tmp_path / "sharpness.npz")
    assert (again.cases, again.m, again.norm, again.population) == (spread.cases, 4, "l2", 10**6)
    np.testing.assert_array_equal(again.rises, spread.rises)
    assert list(again.measures) == ["average 0.1", "sam 0.1"]


def test_what_does_not_belong_together_is_refused(spread: Sharpness) -> None:
    with pytest.raises(ValueError, match=r"must name one of average 0\.1, sam 0\.1, got sam 0\.2"):
        spread.measure("sam", 0.2)
    with pytest.raises(ValueError, match="must have the same functions"):
        paired_rises(spread, _sharpness(spread.rises[0], np.ones(10), functions={"loss": "other"}), "sam")
    with pytest.raises(ValueError, match="`m` must tell 80 of 1000000 images into 20 sets, got 5"):
        Sharpness(spread.cases, spread.loss, spread.rises, spread.drawn, 5, "l2", 10**6, {})
