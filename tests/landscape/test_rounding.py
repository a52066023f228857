import numpy as np
import pytest
from torch import nn

from gradscape.landscape import evaluate_surface, random_directions
from gradscape.landscape.rounding import describe_precision, measure_rounding, probe_points
from tests.landscape.networks import images_and_labels


def _losses(points: int = 400, images: int = 50) -> np.ndarray:
    return np.random.default_rng(0).gamma(2.0, 3.0, (points, images))


def test_bias_and_spread_are_told_apart() -> None:
    losses, generator = _losses(), np.random.default_rng(1)
    scale = losses.std(axis=1, ddof=1)
    scale = np.maximum(scale, np.median(scale))[:, None]
    errors = scale * (0.03 * generator.standard_normal((400, 1)) + 0.1 * generator.standard_normal((400, 50)))
    found = measure_rounding(losses, losses + errors)
    assert found.bias == pytest.approx(0.03, rel=0.15)
    assert found.spread == pytest.approx(0.1, rel=0.05)
    assert (found.points, found.images, found.same_mask) == (400, 50, True)


def test_the_share_bounds_the_error_at_every_point() -> None:
    generator = np.random.default_rng(2)
    means, spreads = 0.004 * generator.standard_normal((2000, 1)), 0.02 * generator.standard_normal((2000, 200))
    losses = generator.gamma(2.0, 3.0, (2000, 200))
    errors = losses.std(axis=1, ddof=1)[:, None] * (means + spreads)
    probed = measure_rounding(losses[::80, :32], (losses + errors)[::80, :32])
    for images in (32, 200):
        stderr = losses[:, :images].std(axis=1, ddof=1) / np.sqrt(images)
        bound = probed.share(images, 10**9) * np.maximum(stderr, np.median(stderr))
        assert (np.abs(errors[:, :images].mean(axis=1)) <= bound).all()


def test_the_share_grows_with_the_images_and_has_no_end_when_all_are_seen() -> None:
    found = measure_rounding(_losses(), 1.01 * _losses())
    shares = [found.share(images, 1000) for images in (32, 64, 500, 999)]
    assert shares == sorted(shares)
    assert found.share(1000, 1000) == np.inf


def test_the_bound_of_a_surface_stays_when_all_images_were_seen() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(105, 5)).eval()
    data, axis = [images_and_labels(200)], np.linspace(-1, 1, 9)
    surfaces = {
        precision: evaluate_surface(net, data, random_directions(net, seed=0), axis, axis, precision=precision)
        for precision in ("fp32", "bf16")
    }
    assert (surfaces["bf16"].loss_stderr == 0).all()
    assert (surfaces["fp32"].loss_rounding == 0).all()
    assert (np.abs(surfaces["bf16"].loss - surfaces["fp32"].loss) <= surfaces["bf16"].loss_rounding).all()
    assert surfaces["bf16"].loss_rounding.max() < 0.1


def test_masks_are_compared_and_points_with_non_finite_losses_left_out() -> None:
    losses = _losses(10)
    losses[3, 4], losses[5, 6] = np.inf, np.nan
    same = measure_rounding(losses, losses)
    assert (same.same_mask, same.points, same.bias, same.spread) == (True, 8, 0.0, 0.0)
    other = losses.copy()
    other[7, 7] = np.inf
    assert not measure_rounding(losses, other).same_mask


def test_losses_without_spread_allow_no_rounding() -> None:
    assert measure_rounding(np.ones((9, 8)), np.ones((9, 8))).share(32, 10**6) == np.inf
    assert measure_rounding(np.full((9, 8), np.nan), np.ones((9, 8))).share(32, 10**6) == np.inf


def test_probe_points_have_the_corners_and_the_middle() -> None:
    points = probe_points((7, 9))
    assert len(points) == 25
    assert {0, 8, 54, 62, 31} <= set(points)
    assert probe_points((3, 2)) == list(range(6))
    assert probe_points((17,)) == list(range(0, 17, 2))


@pytest.mark.parametrize(
    ("plan", "population", "said"),
    [
        (None, 1000, ""),
        ("fp32", 1000, "fp32"),
        ("bf16", 1000, "bf16 (off by at most 0.16 standard errors)"),
        ("bf16", 100, "bf16 (off by at most 0.015 standard deviations of the image losses)"),
    ],
)
def test_the_precision_is_said_with_how_far_it_is_off(plan: str | None, population: int, said: str) -> None:
    rounding = {"bias": 0.003, "spread": 0.0, "same_mask": True, "points": 25, "images": 32}
    meta = {"plan": {"precision": plan}, "plan_notes": {"rounding": rounding}, "images": 100, "population": population}
    assert describe_precision(meta if plan else {}) == said
    unknown = "bf16 (how far it is off was not measured)"
    assert describe_precision({"plan": {"precision": plan}}) == (unknown if plan == "bf16" else plan or "")
