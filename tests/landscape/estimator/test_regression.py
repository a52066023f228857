import numpy as np
import pytest

from gradscape.landscape.estimator import Levels, allocate, grid_levels
from gradscape.landscape.statistics import BlockStatistics
from tests.landscape.estimator.simulated import BLOCK, SURFACES, bowls, egg_boxes, measured

AXIS = np.linspace(-1, 1, 13)
POPULATION = 2048


@pytest.fixture(scope="module")
def levels() -> Levels:
    return grid_levels([AXIS, AXIS])


def _estimates(losses: np.ndarray, levels: Levels, images: list[int], seed: int) -> BlockStatistics:
    drawn = losses[:, np.random.default_rng(seed).permutation(losses.shape[1])]
    return measured(drawn, levels, images, losses.shape[1]).estimate(levels)[0]


def test_estimates_are_those_of_a_plain_regression_image_by_image(levels: Levels) -> None:
    losses = bowls(AXIS, POPULATION, seed=1)
    found = measured(losses, levels, [POPULATION, 128], POPULATION).estimate(levels)[0]
    for point in levels.points(1)[::17]:
        parents, prior = levels.parents[point], levels.weights[point]
        corrected, residuals = [], []
        for block in range(8):
            own = np.arange(128) // BLOCK == block
            x, y = losses[parents, :128], losses[point, :128]
            others = x[:, ~own] - x[:, ~own].mean(axis=1, keepdims=True)
            rest = y[~own] - y[~own].mean() - prior @ others
            ridge = 0.1 * (others**2).sum() / 4
            slope = prior + np.linalg.solve(others @ others.T + ridge * np.eye(4), others @ rest)
            residual = y[own] - slope @ (x[:, own] - losses[parents].mean(axis=1)[:, None])
            corrected.append(residual.mean())
            residuals.append(residual)
        variance = np.concatenate(residuals).var(ddof=1)
        # In how far residuals vary where the parents do, block by block, and how much more these vary over all images.
        ours = np.array([one.var() for one in residuals])
        theirs = losses[parents, :128].reshape(4, 8, BLOCK).var(axis=2).mean(axis=0)
        follows = np.clip(np.polyfit(theirs, ours, 1)[0] * theirs.mean() / ours.mean(), 0, 1)
        more = losses[parents].var(axis=1, ddof=1).mean() / losses[parents, :128].var(axis=1, ddof=1).mean()
        variance *= 1 + follows * (more - 1)
        assert found.loss[point] == pytest.approx(np.mean(corrected), rel=1e-9)
        expected = np.sqrt(variance / 128 * (1 - 128 / POPULATION))
        assert found.stderr[point] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("images", [256, POPULATION])
def test_where_all_points_saw_the_same_images_it_is_the_plain_mean(levels: Levels, images: int) -> None:
    losses = bowls(AXIS, POPULATION, seed=2)
    sample = measured(losses, levels, [images] * 2, POPULATION)
    found, origin = sample.estimate(levels)
    plain = sample.blocks.points(slice(1, None))
    assert found.loss == pytest.approx(plain.loss, rel=1e-12)
    assert found.stderr == pytest.approx(plain.stderr, rel=1e-12)
    assert found.error == pytest.approx(plain.error, rel=1e-12)
    assert found.mean == pytest.approx(plain.mean, rel=1e-12)
    assert found.m2 == pytest.approx(plain.m2, rel=1e-12)
    assert origin.loss == pytest.approx(sample.blocks.points(0).loss, rel=1e-12)


def test_what_coarse_points_saw_of_all_images_is_exact_there_and_sharper_everywhere(levels: Levels) -> None:
    losses = bowls(AXIS, POPULATION, seed=3)
    coarse, fine = levels.points(0), levels.points(1)
    found = _estimates(losses, levels, [POPULATION, 128], 0)
    assert found.loss[coarse] == pytest.approx(losses[coarse].mean(axis=1), rel=1e-9)
    assert found.stderr[coarse] == pytest.approx(0, abs=1e-12)
    plain = measured(losses, levels, [128, 128], POPULATION).blocks.points(slice(1, None))
    assert np.median(found.stderr[fine]) < 0.2 * np.median(plain.stderr[fine])


@pytest.mark.parametrize("images", [(POPULATION, 128), (1024, 256), (1024, 512)])
def test_intervals_hold_the_mean_over_all_images(levels: Levels, images: tuple[int, int]) -> None:
    losses = bowls(AXIS, POPULATION, seed=4)
    truth, held, variances, squares = losses.mean(axis=1), [], 0.0, 0.0
    for seed in range(20):
        found = _estimates(losses, levels, [*images], seed)
        fine = levels.points(1)
        ratios = np.abs(found.loss - truth)[fine] / found.stderr[fine]
        held.append((ratios < 2.1).mean())
        variances += (found.stderr[fine] ** 2).sum()
        squares += ((found.loss - truth)[fine] ** 2).sum()
    assert 0.90 < np.mean(held) < 0.99
    assert 0.7 < variances / squares < 1.4


@pytest.mark.slow
@pytest.mark.parametrize("kind", SURFACES)
def test_at_equal_cost_errors_are_never_larger_than_those_of_plain_means(kind: str) -> None:
    axis, draws = np.linspace(-1, 1, 25), 12
    levels, losses = grid_levels([axis, axis]), SURFACES[kind](axis, POPULATION, 9)
    sizes = [len(levels.points(number)) for number in range(levels.depth)]
    least = np.full(levels.depth, 128)
    variances = measured(losses, levels, [128] * levels.depth, POPULATION).variances(levels)
    numbers = allocate(
        variances,
        sizes,
        seen=least,
        least=128,
        most=POPULATION,
        population=POPULATION,
        target=None,
        budget=200.0 * losses.shape[0],
    )
    images = [int(number) // BLOCK * BLOCK for number in numbers]
    cost = int(np.array(sizes) @ images) // sum(sizes)
    truth, scale = losses.mean(axis=1), losses.var(axis=1)
    own = plain = 0.0
    for seed in range(draws):
        drawn = losses[:, np.random.default_rng(seed).permutation(POPULATION)]
        found = measured(drawn, levels, images, POPULATION).estimate(levels)[0]
        own += ((found.loss - truth) ** 2 / scale).sum()
        plain += ((drawn[:, :cost].mean(axis=1) - truth) ** 2 / scale).sum()
    assert own < 1.05 * plain
    if kind == "bowls":
        assert own < 0.2 * plain


@pytest.mark.slow
def test_losses_that_points_do_not_share_are_not_smoothed(levels: Levels) -> None:
    losses = egg_boxes(AXIS, POPULATION, seed=5) + np.random.default_rng(6).exponential(size=(len(AXIS) ** 2, 1))
    fine, truth = levels.points(1), losses.mean(axis=1)
    plain, squares, told = 0.0, 0.0, 0.0
    for seed in range(20):
        found = _estimates(losses, levels, [POPULATION, 512], seed)
        drawn = losses[:, np.random.default_rng(seed).permutation(POPULATION)[:512]]
        plain += ((drawn.mean(axis=1) - truth)[fine] ** 2).sum()
        squares += ((found.loss - truth)[fine] ** 2).sum()
        told += (found.stderr[fine] ** 2).sum()
    assert squares < 1.05 * plain
    assert 0.85 < told / squares < 1.15
    # What the surface is rough by, between neighbors, is there to the full.
    rough = np.diff(truth.reshape(len(AXIS), -1), axis=1).std()
    assert np.diff(found.loss.reshape(len(AXIS), -1), axis=1).std() == pytest.approx(rough, rel=0.1)


def test_a_point_that_is_not_finite_stays_so_and_does_not_reach_others(levels: Levels) -> None:
    losses = bowls(AXIS, POPULATION, seed=7)
    broken, clean = losses.copy(), measured(losses, levels, [POPULATION, 128], POPULATION).estimate(levels)[0]
    child = levels.points(1)[0]
    broken[child, 5] = np.inf
    found = measured(broken, levels, [POPULATION, 128], POPULATION).estimate(levels)[0]
    others = np.delete(np.arange(len(losses)), child)
    assert not np.isfinite(found.loss[child])
    assert found.loss[others] == pytest.approx(clean.loss[others], rel=1e-12)
    parent = levels.parents[child][0]
    for image in (5, 1000):  # its children have seen the first alone
        broken = losses.copy()
        broken[parent, image] = np.nan
        found = measured(broken, levels, [POPULATION, 128], POPULATION).estimate(levels)[0]
        assert np.isfinite(np.delete(found.loss, parent)).all()
        # Where a parent is unknown, it is the plain mean of what was seen.
        assert found.loss[child] == pytest.approx(losses[child, :128].mean(), rel=1e-12)


def test_a_level_counts_as_much_as_its_residuals_and_the_points_that_they_reach(levels: Levels) -> None:
    sizes = np.array([len(levels.points(number)) + (number == 0) for number in range(2)])
    found = {}
    for make in (bowls, egg_boxes):
        losses = make(AXIS, 512, seed=8)
        sample = measured(losses, levels, [512, 512], 512)
        moved = measured(losses + 100, levels, [512, 512], 512)
        found[make] = sample.variances(levels)
        assert moved.variances(levels) == pytest.approx(found[make], rel=1e-6)
    # The coarse level of bowls has to do with every point, and the fine one with next to nothing.
    usual = np.median(bowls(AXIS, 512, seed=8).var(axis=1))
    assert found[bowls][0] == pytest.approx(usual, rel=0.1)
    assert found[bowls][1] < 0.01 * usual
    # Independent losses are those of their own level alone.
    assert found[egg_boxes] == pytest.approx(sizes / sizes.sum(), rel=0.2)


@pytest.mark.parametrize("others", [0.0, 1e-8])
def test_where_one_image_has_nearly_all_of_the_loss_coefficients_are_those_of_interpolation(
    levels: Levels, others: float
) -> None:
    random = np.random.default_rng(10)
    losses = others * random.random((len(AXIS) ** 2, 512))
    losses[:, 7] = 3 + 0.1 * bowls(AXIS, 1, seed=11)[:, 0]
    found = measured(losses, levels, [512, 128], 512).estimate(levels)[0]
    assert (np.abs(found.loss - losses.mean(axis=1)) < 0.03).all()
