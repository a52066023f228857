"""A curve's highest point beside a line's, against plain calculations over the blocks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from gradscape.landscape import Line, measure_detour
from gradscape.landscape.statistics import BlockStatistics

POINTS = np.linspace(0, 1, 5)
BLOCKS = [f"block {number}" for number in range(6)]


def line_of(means: np.ndarray, *, right: float = 16.0, population: int = 4000, **meta: Any) -> Line:
    """A line of these mean losses, (blocks, points), of 32 images a block."""
    blocks = BlockStatistics(
        count=np.full(means.shape, 32),
        mean=means,
        m2=np.ones(means.shape),
        right=np.full(means.shape, right),
        nonfinite=np.where(np.isfinite(means), 0, 1),
        population=population,
    )
    alphas = np.linspace(0, 1, means.shape[1])
    told = {"blocks": BLOCKS[: len(means)], "functions": {"loss": "cross_entropy"}, **meta}
    return Line(alphas=alphas, blocks=blocks, origin=blocks.points(0), meta=told)


def random_pair(blocks: int = 6, *, gap: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Curve and line, which share what is hard in each block."""
    rng = np.random.default_rng(0)
    hard, shape = rng.random((blocks, 1)), np.array([0, 1, 3, 2, 0.0])
    noise = 0.1 * rng.random((2, blocks, 5))
    return hard + shape / 2 + noise[0], hard + shape / 2 + noise[1] + gap * np.array([0, 0, 0, 1.5, 0])


def test_it_is_the_difference_of_the_highest_points_with_its_paired_error() -> None:
    curve, line = random_pair()
    found = measure_detour(line_of(curve), line_of(line))
    assert (found.curve_at, found.line_at, found.images) == (0.5, 0.75, 192)
    differences = curve[:, 2] - line[:, 3]
    stderr = differences.std(ddof=1) / 6**0.5 * (1 - 192 / 4000) ** 0.5
    assert [found.difference, found.stderr] == pytest.approx([differences.mean(), stderr])
    half = stats.t.ppf(0.975, 5) * stderr
    assert [found.low, found.high] == pytest.approx([found.difference - half, found.difference + half])
    assert (found.curve_highest, found.line_highest) == pytest.approx((curve[:, 2].mean(), line[:, 3].mean()))
    assert found.verdict == "lower"
    assert measure_detour(line_of(line), line_of(curve)).verdict == "higher"


def test_what_chance_could_make_is_not_told_apart() -> None:
    curve, line = random_pair(gap=0.34)
    assert measure_detour(line_of(curve), line_of(line)).verdict == "not told apart"
    one, other = (line_of(means[:1]) for means in random_pair())
    assert np.isnan(measure_detour(one, other).stderr)
    assert measure_detour(one, other).verdict == "not told apart"
    same = np.tile(random_pair()[0][:1], (3, 1))
    assert np.isnan(measure_detour(line_of(same), line_of(same + POINTS)).stderr), "blocks that agree by chance"


def test_of_all_images_the_difference_is_exact() -> None:
    found = measure_detour(*(line_of(means, population=192) for means in random_pair()))
    assert (found.stderr, found.low, found.high) == (0, found.difference, found.difference)
    assert found.verdict == "lower"


def test_the_error_is_compared_alike() -> None:
    curve, line = (line_of(means) for means in random_pair())
    shares = np.random.default_rng(1).integers(0, 33, (2, 6, 5)).astype(float)
    curve, line = (
        replace(one, blocks=replace(one.blocks, right=right)) for one, right in zip((curve, line), shares, strict=True)
    )
    found = measure_detour(curve, line, value="error")
    errors = 1 - shares / 32
    places = errors.mean(1).argmax(1)
    differences = errors[0][:, places[0]] - errors[1][:, places[1]]
    assert (found.curve_at, found.line_at) == tuple(POINTS[places])
    assert found.difference == pytest.approx(differences.mean())
    assert found.stderr == pytest.approx(differences.std(ddof=1) / 6**0.5 * (1 - 192 / 4000) ** 0.5)


def test_of_a_run_that_was_stopped_the_images_of_both_count() -> None:
    curve, line = random_pair()
    found = measure_detour(line_of(curve[:4]), line_of(line))
    whole = measure_detour(line_of(curve[:4]), line_of(line[:4]))
    assert found == whole
    assert found.images == 128


def test_points_beyond_the_networks_do_not_count() -> None:
    curve, line = random_pair()
    wide = line_of(np.concatenate([line, np.full((6, 1), 99.0)], axis=1))
    wide = replace(wide, alphas=np.array([*POINTS, 1.25]))
    assert measure_detour(line_of(curve), wide) == measure_detour(line_of(curve), line_of(line))


def test_a_line_that_is_not_finite_is_higher_than_any_curve() -> None:
    curve, line = random_pair()
    line[2, 1] = np.inf
    found = measure_detour(line_of(curve), line_of(line))
    assert (found.line_highest, found.line_at, found.difference) == (np.inf, 0.25, -np.inf)
    assert np.isnan(found.stderr)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"blocks": ["other"] * 6}, "`line` must be evaluated with the images of `curve`: use one data set and seed"),
        ({"functions": {"loss": "focal"}}, "with the loss and metric of `curve`"),
        ({"batch_norm": {"statistics": "moving"}}, "with the statistics of batch norms of `curve`: give both the same"),
    ],
)
def test_what_cannot_be_compared_is_refused(meta: dict[str, Any], message: str) -> None:
    curve, line = random_pair()
    with pytest.raises(ValueError, match=message):
        measure_detour(line_of(curve), line_of(line, **meta))


def test_an_error_that_was_not_measured_is_refused() -> None:
    curve, line = (line_of(means, right=np.nan) for means in random_pair())
    with pytest.raises(ValueError, match="`value` error was not measured on both of them"):
        measure_detour(curve, line, value="error")
