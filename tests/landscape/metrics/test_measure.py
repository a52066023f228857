from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradscape.landscape import Surface
from gradscape.landscape.metrics.measure import ERROR_RISE, LOSS_RISE, METRICS, measure_landscape
from gradscape.landscape.statistics import UNKNOWN_POPULATION, BlockStatistics

ALPHAS = np.linspace(-1.0, 1.0, 41)
BETAS = np.linspace(-0.8, 0.8, 33)
UNEVEN_ALPHAS = np.sinh(np.linspace(-1.2, 1.1, 34))  # misses the origin
UNEVEN_BETAS = np.array([*np.linspace(-1.0, -0.3, 8), *np.linspace(-0.2, 0.25, 13), *np.linspace(0.4, 1.1, 7)])

Function = Callable[[np.ndarray, np.ndarray], np.ndarray]


def make_surface(
    loss: np.ndarray,
    origin: np.ndarray,
    *,
    alphas: np.ndarray = ALPHAS,
    betas: np.ndarray = BETAS,
    error: np.ndarray | None = None,
    origin_error: float = 0.1,
    population: int | None = None,
) -> Surface:
    """A surface of blocks of 10 images with these losses, (blocks, B, A), and (blocks,) at the origin."""
    error = np.full(loss.shape, 0.1) if error is None else np.broadcast_to(error, loss.shape)
    blocks, center = (
        BlockStatistics(
            count=np.full(mean.shape, 10),
            mean=mean,
            m2=np.full(mean.shape, 10.0),
            right=10 * (1 - wrong),
            nonfinite=np.where(np.isfinite(mean), 0, 1),
            population=population or 10 * len(loss),
        )
        for mean, wrong in ((loss, error), (origin, np.full(origin.shape, origin_error)))
    )
    return Surface(alphas=alphas, betas=betas, blocks=blocks, origin=center, meta={})


def exact(function: Function, alphas: np.ndarray = ALPHAS, betas: np.ndarray = BETAS, **options: object) -> Surface:
    """A surface seen through all images."""
    loss = function(*np.meshgrid(alphas, betas))
    return make_surface(loss[None], function(*np.zeros((2, 1))), alphas=alphas, betas=betas, **options)  # type: ignore[arg-type]


def values(surface: Surface, **options: float) -> dict[str, float]:
    return {name: measure.value for name, measure in measure_landscape(surface, **options).items()}  # type: ignore[arg-type]


def bowl(first: float, second: float, mixed: float = 0.0) -> Function:
    return lambda a, b: 0.3 + (first * a**2 + 2 * mixed * a * b + second * b**2) / 2


GRIDS = [(ALPHAS, BETAS), (UNEVEN_ALPHAS, UNEVEN_BETAS), (ALPHAS[::-1], BETAS)]


@pytest.mark.parametrize(("alphas", "betas"), GRIDS, ids=["even", "uneven without origin", "falling"])
@pytest.mark.parametrize(("first", "second"), [(6.0, 2.0), (1.5, 9.0), (4.0, 4.0)])
def test_a_quadratic_bowl_has_its_closed_forms(
    alphas: np.ndarray, betas: np.ndarray, first: float, second: float
) -> None:
    found = values(exact(bowl(first, second), alphas, betas), loss_rise=0.2)
    reach = min(-alphas.min(), alphas.max(), -betas.min(), betas.max())
    assert found["sharpness"] == pytest.approx(max(first, second) / 2 * (reach / 2) ** 2, rel=1e-9)
    assert found["basin_width"] == pytest.approx(4 * np.sqrt(0.2 / (first + second)), rel=1e-9)
    assert found["curvature"] == pytest.approx((first + second) / 2, rel=1e-9)
    assert found["anisotropy"] == pytest.approx(max(first / second, second / first), rel=1e-6)
    assert found["convex_share"] == pytest.approx(1, rel=1e-12)


def test_a_turned_bowl_has_the_same_eigenvalues() -> None:
    angle, first, second = 0.6, 8.0, 3.0
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = bowl(
        first * cosine**2 + second * sine**2, first * sine**2 + second * cosine**2, (first - second) * cosine * sine
    )
    found = values(exact(turned))
    assert found["curvature"] == pytest.approx(5.5, rel=1e-9)
    assert found["anisotropy"] == pytest.approx(8 / 3, rel=1e-9)
    assert found["sharpness"] == pytest.approx(8 / 2 * 0.4**2, rel=3e-3)  # at the next of 72 angles
    assert found["convex_share"] == pytest.approx(1)


@pytest.mark.parametrize(("alphas", "betas"), GRIDS)
def test_the_roughness_of_a_bowl_of_the_log_loss_is_its_laplacian(alphas: np.ndarray, betas: np.ndarray) -> None:
    found = values(exact(lambda a, b: np.exp(bowl(6, -2.5)(a, b)), alphas, betas))
    assert found["roughness"] == pytest.approx(3.5, rel=1e-9)


def test_the_roughness_of_waves_is_that_of_the_difference_quotients() -> None:
    k, m = 7.0, 4.0
    found = values(exact(lambda a, b: np.exp(np.sin(k * a) * np.cos(m * b))))
    h, g = 0.05, 0.05
    factor = (2 - 2 * np.cos(k * h)) / h**2 + (2 - 2 * np.cos(m * g)) / g**2
    across, down = np.meshgrid(ALPHAS[1:-1], BETAS[1:-1])
    assert found["roughness"] == pytest.approx(factor * np.abs(np.sin(k * across) * np.cos(m * down)).mean(), rel=1e-9)


def test_finer_steps_do_not_change_the_roughness_of_waves() -> None:
    def waves(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(np.sin(2 * np.pi * a) * np.sin(2 * np.pi * b))

    axis = np.linspace(-1, 1, 201)
    expected = 8 * np.pi**2 * (2 / np.pi) ** 2
    assert values(exact(waves, axis, axis))["roughness"] == pytest.approx(expected, rel=2e-2)
    assert values(exact(waves))["roughness"] == pytest.approx(expected, rel=6e-2)


def test_waves_along_both_axes_are_convex_on_a_quarter() -> None:
    # Whole periods of inner points, none of which lies where a sine is 0.
    axis = (np.arange(-33, 33) + 0.5) / 32
    found = values(exact(lambda a, b: 3 + np.sin(2 * np.pi * a) + np.sin(2 * np.pi * b), axis, axis))
    assert found["convex_share"] == pytest.approx(0.25, rel=1e-9)


def test_a_valley_without_curvature_along_it_is_convex_in_spite_of_rounding() -> None:
    assert values(exact(lambda a, b: 0.1 + (a + 0.3 * b) ** 2))["convex_share"] == pytest.approx(1)


def test_convex_share_agrees_with_eigenvalues_cell_by_cell() -> None:
    def hills(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(3 + np.sin(5 * a + 2 * b + 0.3) * np.cos(3 * b + 0.2) + a**2)

    loss = hills(*np.meshgrid(ALPHAS, BETAS))
    convex = 0
    for row in range(1, len(BETAS) - 1):
        for column in range(1, len(ALPHAS) - 1):
            near = loss[row - 1 : row + 2, column - 1 : column + 2]
            second_alpha = near[1, 0] - 2 * near[1, 1] + near[1, 2]
            second_beta = near[0, 1] - 2 * near[1, 1] + near[2, 1]
            mixed = (near[2, 2] - near[2, 0] - near[0, 2] + near[0, 0]) / 4
            hessian = np.array([[second_alpha, mixed], [mixed, second_beta]]) / 0.05**2
            convex += np.linalg.eigvalsh(hessian)[0] >= 0
    share = convex / ((len(BETAS) - 2) * (len(ALPHAS) - 2))
    assert 0.1 < share < 0.9
    assert values(exact(hills))["convex_share"] == pytest.approx(share, rel=1e-9)


def test_one_huge_loss_does_not_make_other_cells_convex() -> None:
    def waves(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(2 + np.sin(6 * a) * np.sin(5 * b))

    def with_spike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return waves(a, b) + np.where((a == a.max()) & (b == b.max()), 1e14, 0.0)

    plain, spiked = values(exact(waves))["convex_share"], values(exact(with_spike))["convex_share"]
    assert spiked == pytest.approx(plain, abs=0.02)


def test_one_outlier_neither_makes_a_surface_smooth_nor_rules_its_roughness() -> None:
    def waves(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(2 + np.sin(6 * a) * np.sin(5 * b))

    def with_spike(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return waves(a, b) + 1e6 * ((np.abs(a - 0.5) < 1e-9) & (np.abs(b - 0.4) < 1e-9))

    plain, spiked = exact(waves), exact(with_spike)
    assert values(spiked)["scaled_roughness"] == pytest.approx(values(plain)["scaled_roughness"], rel=0.5)
    assert spiked.minmax()[1:-1, 1:-1].max() == 1  # by which all else becomes flat:
    assert np.median(np.abs(np.diff(spiked.minmax(), 2))) < 1e-4 * np.median(np.abs(np.diff(plain.minmax(), 2)))


def test_scaled_roughness_does_not_depend_on_scale_or_offset() -> None:
    plain = exact(lambda a, b: 2 + np.sin(6 * a) * np.sin(5 * b))
    moved = exact(lambda a, b: 70 + 20 * np.sin(6 * a) * np.sin(5 * b))
    assert values(moved)["scaled_roughness"] == pytest.approx(values(plain)["scaled_roughness"], rel=1e-9)


def test_the_error_basin_of_a_cone_is_a_disk() -> None:
    cone = np.hypot(*np.meshgrid(ALPHAS, BETAS))
    found = values(exact(bowl(1, 1), error=0.1 + 0.1 * cone, origin_error=0.1))
    assert found["error_basin_area"] == pytest.approx(np.pi * (ERROR_RISE / 0.1) ** 2, rel=2e-3)


def test_the_error_basin_of_a_wedge_is_a_strip_and_is_known_to_go_on_outside() -> None:
    wedge = np.abs(np.meshgrid(ALPHAS, BETAS)[0])
    measure = measure_landscape(exact(bowl(1, 1), error=0.1 + 0.3 * wedge))["error_basin_area"]
    assert measure.value == pytest.approx(2 * ERROR_RISE / 0.3 * 1.6, rel=1e-9)
    assert measure.note == "reaches the edge of the grid: it goes on outside"


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 20), st.floats(0.2, 5), st.booleans())
def test_metrics_scale_as_their_units_say(factor: float, length: float, swapped: bool) -> None:
    def hills(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(0.5 + 3 * a**2 + 1.2 * b**2 - 0.3 * np.cos(4 * a) * np.cos(3 * b) + 0.1 * np.sin(3 * a - b))

    def stretched(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = (b, a) if swapped else (a, b)
        return np.asarray(factor * hills(a / length, b / length))

    axes = (BETAS, ALPHAS) if swapped else (ALPHAS, BETAS)
    plain = values(exact(hills), loss_rise=0.4)
    found = values(exact(stretched, *(length * axis for axis in axes)), loss_rise=0.4 * factor)
    expected = {
        "sharpness": factor * plain["sharpness"],
        "basin_width": length * plain["basin_width"],
        "curvature": factor / length**2 * plain["curvature"],
        "anisotropy": plain["anisotropy"],
        "roughness": plain["roughness"] / length**2,
        "scaled_roughness": plain["scaled_roughness"] / length**2,
        "convex_share": plain["convex_share"],
        "error_basin_area": length**2 * plain["error_basin_area"],
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_names_units_and_order_are_those_of_the_list() -> None:
    measures = measure_landscape(exact(bowl(2, 1)))
    assert list(measures) == list(METRICS)
    assert {name: measure.unit for name, measure in measures.items()} == {
        "sharpness": "nats",
        "basin_width": "d",
        "curvature": "nats/d²",
        "anisotropy": "",
        "roughness": "1/d²",
        "scaled_roughness": "1/d²",
        "convex_share": "",
        "error_basin_area": "d²",
    }
    assert all(metric.definition and metric.source for metric in METRICS.values())


def noisy(blocks: int = 24, *, population: int = UNKNOWN_POPULATION, scale: float = 0.3, seed: int = 0) -> Surface:
    """A bowl whose blocks differ by a factor and by waves."""
    generator = np.random.default_rng(seed)
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    factor, wave = 1 + scale * generator.standard_normal((2, blocks))
    loss = np.multiply.outer(factor, bowl(6, 2)(alphas, betas)) + np.multiply.outer(0.02 * wave, np.cos(9 * alphas))
    return make_surface(loss, 0.3 * factor + 0.02 * wave, population=population)


def test_intervals_hold_their_values_and_narrow_with_more_images() -> None:
    few, many = measure_landscape(noisy(16)), measure_landscape(noisy(256))
    for name in ("sharpness", "basin_width", "curvature", "roughness"):
        assert few[name].low < few[name].value < few[name].high
        ratio = (few[name].high - few[name].low) / (many[name].high - many[name].low)
        assert 2 < ratio < 8  # about √16, and Student's quantile


def test_the_same_seed_gives_the_same_numbers_and_the_global_generator_is_left_alone() -> None:
    state = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first, second, other = (measure_landscape(noisy(), seed=seed) for seed in (3, 3, 4))
    assert first == second
    assert first["roughness"] != other["roughness"]
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # type: ignore[index]  # noqa: NPY002


def test_with_all_images_seen_both_ends_are_the_value() -> None:
    for measure in measure_landscape(noisy(24, population=240)).values():
        assert measure.low == measure.value == measure.high


def test_with_half_of_all_images_seen_the_interval_shrinks_by_the_root_of_a_half() -> None:
    endless, half = (measure_landscape(noisy(24, population=size))["curvature"] for size in (UNKNOWN_POPULATION, 480))
    assert (half.high - half.low) / (endless.high - endless.low) == pytest.approx(np.sqrt(0.5), rel=1e-6)


def test_fewer_than_eight_blocks_give_values_without_intervals() -> None:
    for name, measure in measure_landscape(noisy(7)).items():
        assert np.isfinite(measure.value), name
        assert np.isnan([measure.low, measure.high]).all()
        assert "no interval: 8 blocks of images are needed, these are 7" in measure.note
    assert np.isfinite(measure_landscape(noisy(8))["curvature"].low)


def test_a_block_that_rules_the_variance_is_named() -> None:
    surface = noisy(16, scale=0.001)
    mean = surface.blocks.mean.copy()
    mean[5] *= 3
    marked = measure_landscape(replace(surface, blocks=replace(surface.blocks, mean=mean)))["curvature"]
    assert marked.note.startswith("one block of images has ")


def flat_with_jitter(blocks: int, seed: int = 0) -> Surface:
    """A constant loss, and heavy-tailed noise of its own at every point."""
    generator = np.random.default_rng(seed)
    noise = 0.1 * generator.standard_t(4, (blocks, len(BETAS), len(ALPHAS)))
    return make_surface(1 + noise, np.ones(blocks), population=UNKNOWN_POPULATION)


def test_roughness_that_noise_alone_gives_is_taken_off() -> None:
    surface = flat_with_jitter(64)
    laplacian = sum(np.diff(surface.loss, 2, axis=axis)[cut] for axis, cut in ((0, np.s_[:, 1:-1]), (1, np.s_[1:-1])))
    raw = float(np.abs(laplacian).mean()) / 0.05**2
    measure = measure_landscape(surface)["roughness"]
    assert measure.value < 0.35 * raw
    assert "more than half of the raw value is noise" in measure.note


def test_noise_that_all_points_share_is_not_taken_for_roughness() -> None:
    generator = np.random.default_rng(0)
    factor = generator.lognormal(0, 1, 32)
    loss = np.multiply.outer(factor, np.exp(bowl(3, 1)(*np.meshgrid(ALPHAS, BETAS))))
    measure = measure_landscape(make_surface(loss, factor * np.exp(0.3), population=UNKNOWN_POPULATION))["roughness"]
    assert measure.value == pytest.approx(4, rel=1e-6)
    assert measure.high - measure.low < 1e-6
    assert "noise" not in measure.note


def test_where_noise_hides_the_sign_of_the_curvature_the_share_is_left_open() -> None:
    measure = measure_landscape(flat_with_jitter(16))["convex_share"]
    assert "noise hides the sign in" in measure.note
    assert measure.low < 0.2
    assert measure.high > 0.8


def test_a_point_that_is_not_finite_is_left_out_where_it_does_not_matter_and_named() -> None:
    loss = bowl(6, 2)(*np.meshgrid(ALPHAS, BETAS))
    loss[1, 2] = np.inf
    found = measure_landscape(make_surface(loss[None], np.array([0.3])))
    for name in ("sharpness", "basin_width", "curvature", "anisotropy"):
        assert np.isfinite(found[name].value)
    assert found["roughness"].note == "4 of 1209 inner points left out: a loss around them is missing"
    assert found["convex_share"].value == pytest.approx(1)


def test_a_point_that_is_not_finite_near_the_origin_leaves_the_metrics_there_undefined() -> None:
    loss = bowl(6, 2)(*np.meshgrid(ALPHAS, BETAS))
    loss[16, 21] = np.nan
    found = measure_landscape(make_surface(loss[None], np.array([0.3])))
    for name in ("sharpness", "basin_width", "curvature", "anisotropy"):
        assert np.isnan(found[name].value), name
        assert "not finite" in found[name].note
    assert np.isfinite(found["roughness"].value)


def test_a_grid_beside_the_origin_has_no_metrics_about_it() -> None:
    found = measure_landscape(exact(bowl(6, 2), ALPHAS + 1.5, BETAS))
    for name in ("sharpness", "basin_width", "curvature", "anisotropy"):
        assert np.isnan(found[name].value)
        assert found[name].note == "the grid does not surround the origin"
    assert found["convex_share"].value == pytest.approx(1)


def test_a_rise_that_the_span_does_not_reach_is_undefined() -> None:
    measure = measure_landscape(exact(bowl(0.6, 0.2)))["basin_width"]
    assert np.isnan(measure.value)
    assert measure.note == "the mean loss rises by 0.13 up to the edge, not by 0.69: widen the span"
    assert pytest.approx(0.693, abs=1e-3) == LOSS_RISE


def test_a_saddle_has_no_anisotropy() -> None:
    measure = measure_landscape(exact(bowl(6, -2)))["anisotropy"]
    assert np.isnan(measure.value)
    assert measure.note == "an eigenvalue at the origin is -2: no minimum on this plane"


def test_a_constant_loss_has_no_scale() -> None:
    found = measure_landscape(exact(lambda a, b: 0.5 + 0 * a))
    assert found["roughness"].value == 0
    assert np.isnan(found["scaled_roughness"].value)
    assert found["scaled_roughness"].note == "the loss is constant between its quantiles"


def test_without_a_metric_there_is_no_error_basin() -> None:
    surface = exact(bowl(6, 2), error=np.array(np.nan))
    assert np.isnan(surface.error).all()
    assert measure_landscape(surface)["error_basin_area"].note == "no error was measured at the origin or on the grid"


def test_the_grids_own_origin_stands_in_where_the_file_has_none() -> None:
    surface = exact(bowl(6, 2))
    without = replace(surface, origin=BlockStatistics.empty(1, (), UNKNOWN_POPULATION))
    assert values(without) == pytest.approx(values(surface), nan_ok=True)


def test_blocks_that_some_points_have_not_seen_are_left_out() -> None:
    surface = noisy(20)
    mean, count = surface.blocks.mean.copy(), surface.blocks.count.copy()
    count[12:, 3, 4] = 0
    mean[12:, 3, 4] = np.nan
    partly = replace(surface, blocks=replace(surface.blocks, mean=mean, count=count))
    first = make_surface(surface.blocks.mean[:12], surface.origin.mean[:12], population=UNKNOWN_POPULATION)
    assert values(partly) == pytest.approx(values(first))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 95.0}, r"`confidence` must lie between 0 and 1, got 95"),
        ({"resamples": 3}, r"`resamples` must be at least 50, got 3"),
        ({"loss_rise": 0.0}, r"`loss_rise` must be positive, got 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        values(exact(bowl(6, 2)), **options)


def test_grids_that_are_too_small_and_surfaces_without_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`surface` must have at least 3×3 points, got \(33, 2\)"):
        measure_landscape(exact(bowl(6, 2), np.array([-1.0, 1.0]), BETAS))
    empty = BlockStatistics.empty(1, (len(BETAS), len(ALPHAS)), 100)
    with pytest.raises(ValueError, match=r"`surface` must have points evaluated on common images"):
        measure_landscape(replace(exact(bowl(6, 2)), blocks=empty))
