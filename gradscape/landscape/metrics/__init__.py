"""Numbers that say what a picture of a landscape shows, each with its interval over images."""

from gradscape.landscape.metrics.measure import (
    ERROR_RISE,
    LOSS_RISE,
    METRICS,
    Measure,
    Metric,
    measure_landscape,
    measure_resamples,
)

__all__ = ["ERROR_RISE", "LOSS_RISE", "METRICS", "Measure", "Metric", "measure_landscape", "measure_resamples"]
