"""Calibration errors: a closed form, torchmetrics', and what intervals cover."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from gradscape.studies.calibration import calibration_error, calibration_interval


def test_calibration_error_is_the_mean_gap_between_confidence_and_accuracy_over_fifteen_bins() -> None:
    confidence = np.array([0.2, 0.2, 1.0, 1.0, 1.0, 1.0])
    right = np.array([True, False, True, True, True, False])
    # Bins (2/15, 3/15] and (14/15, 1]: 2/6 · |0.5 − 0.2| + 4/6 · |0.75 − 1|.
    assert calibration_error(confidence, right) == pytest.approx(0.1 + 1 / 6)
    assert calibration_error(confidence, right, bins=1) == pytest.approx(abs(right.mean() - confidence.mean()))


def test_calibration_error_is_torchmetrics() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.1, 1, 500)
    right = rng.random(500) < confidence**2
    # Of two classes torchmetrics bins the probability of class 1: whether the answer is right.
    expected = binary_calibration_error(torch.tensor(confidence), torch.tensor(right).long(), n_bins=15, norm="l1")
    assert calibration_error(confidence, right) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(("power", "count"), [(1.0, 350), (1.15, 350), (1.6, 2000)])
def test_interval_covers_what_more_images_tell(power: float, count: int) -> None:
    """Of calibrated answers that is 0, though no sample gives 0."""
    rng = np.random.default_rng(1)

    def sample(count: int) -> tuple[np.ndarray, np.ndarray]:
        confidence = rng.uniform(0.2, 1, count)
        return confidence, rng.random(count) < confidence**power

    truth = 0.0 if power == 1 else calibration_error(*sample(500_000))
    found = [calibration_interval(*sample(count)) for _ in range(60)]
    assert sum(one.low <= truth <= one.high for one in found) >= 52
    assert all(one.low <= one.value <= one.high for one in found)


def test_interval_is_narrower_with_more_images_and_there_is_none_of_one() -> None:
    confidence, right = np.full(400, 0.9), np.arange(400) < 280
    many, few = calibration_interval(confidence, right), calibration_interval(confidence[::4], right[::4])
    assert [many.value, few.value] == pytest.approx([0.2, 0.2])
    assert many.high - many.low == pytest.approx((few.high - few.low) / 2, rel=0.1)
    assert many.high - many.low == pytest.approx(2 * 1.96 * math.sqrt(0.7 * 0.3 / 400), rel=0.1)
    assert math.isnan(calibration_interval(confidence[:1], right[:1]).low)
