"""What the intervals promise: benchmarks/metric_coverage.py prints the same for more noises and numbers of blocks."""

import numpy as np
import pytest

from gradscape.landscape.metrics.measure import METRICS, measure_landscape
from tests.landscape.noisy_surfaces import NOISES, drawn_surface, true_surface

_REPEATS = 200


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "blocks"), [("jitter", 16)])
def test_95_percent_intervals_hold_the_truth_in_90_to_98_percent_of_repeats(noise: str, blocks: int) -> None:
    truth = measure_landscape(true_surface("egg box"))
    held: dict[str, list[bool]] = {name: [] for name in METRICS}
    for seed in range(_REPEATS):
        surface = drawn_surface("egg box", NOISES[noise], blocks=blocks, seed=seed)
        for name, measure in measure_landscape(surface, resamples=200).items():
            held[name].append(measure.low <= truth[name].value <= measure.high)
    shares = {name: float(np.mean(values)) for name, values in held.items()}
    assert {name: share for name, share in shares.items() if not 0.9 <= share <= 0.98} == {}
