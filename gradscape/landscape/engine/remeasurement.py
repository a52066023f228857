"""Whether a file holds this very run: some of what it holds is measured again and compared."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np

from gradscape._profile import spent_on_each
from gradscape.landscape.engine.blocks import Batch
from gradscape.landscape.engine.ledger import Ledger
from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.engine.workers import Job, Workers

__all__ = ["Remeasurement"]

# Of a block's mean loss or its deviation: what another device, other threads or versions may change.
_ROUNDING: Mapping[str, float] = {"fp32": 1e-4, "bf16": 0.03}


@final
class Remeasurement:
    """Measures a little of each round of a run that goes on again: the last batch that was stored, at one point.

    In the first round it is two points, as far apart as can be. Everything has to be the same to the bit, or, where the
    plan may change, but for rounding: 1e-4 of a block's mean loss or of its deviation in fp32, 3 % in bf16.

    Args:
        ledger: What was stored.
        coordinates: Position of each point, (points, axes).
        plan: How it is measured.
        exact: Whether rounding may not differ either: where the plan may change, it may.
    """

    def __init__(self, ledger: Ledger, coordinates: np.ndarray, plan: ExecutionPlan, *, exact: bool) -> None:
        self._ledger, self._coordinates, self._plan, self._exact = ledger, coordinates, plan, exact

    def check(self, workers: Workers, batches: Sequence[Batch]) -> None:
        """Measure again what is stored of these batches, before anything is added.

        Raises:
            ValueError: It is not what the file has.
        """
        first = batches[0].first == 0
        points = self._points() if first else [0]
        size = self._plan.block_size
        stored = [number for number, batch in enumerate(batches) if not self._ledger.misses(batch, points, size)]
        if not points or not stored:
            return
        step = self._plan.points_per_forward
        jobs = [Job(tuple(points[begin : begin + step]), (stored[-1],)) for begin in range(0, len(points), step)]
        batch = batches[stored[-1]]
        for job, measured in spent_on_each("points", workers.measure(jobs)):
            for point, judged in zip(job.points, measured, strict=True):
                gap = self._ledger.deviation(point, batch.first, size, judged)
                if gap > 0:
                    self._refuse(gap, point, float(judged.losses.mean()), self._ledger.mean(point, batch, size))

    def _points(self) -> list[int]:
        """Of those stored of the first block: the nearest to the origin, and the farthest whose losses are finite."""
        stored, finite = self._ledger.stored_points()
        distances = np.linalg.norm(self._coordinates, axis=1)
        ends = [min(stored, key=distances.__getitem__)] if stored else []
        return list(dict.fromkeys(ends + ([max(finite, key=distances.__getitem__)] if finite else [])))

    def _refuse(self, gap: float, point: int, found: float, held: float) -> None:
        near = gap <= _ROUNDING[self._plan.precision]
        if near and not self._exact:
            return
        place = ", ".join(f"{coordinate:g}" for coordinate in self._coordinates[point])
        said = f"measured again at ({place}), the mean loss of some of its images is {found:.9g}, not {held:.9g}"
        if near:
            raise ValueError(
                f"`path` holds numbers that another version has rounded otherwise ({said}): choose another output, or "
                "allow the change of plan"
            )
        raise ValueError(
            f"`path` holds another run ({said}): `loss`, `metric`, `forward` or the network is another one; choose "
            "another output or delete it"
        )
