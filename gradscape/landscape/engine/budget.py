"""What planning may cost: tracing has to pay for itself, trials are never long beside the run."""

import sys
from typing import final

from gradscape.landscape.engine.work import Work

__all__ = ["Budget"]

# Estimates in seconds, measured on a core of an AMD EPYC (Zen 5): `benchmarks/small_jobs.py` shows what comes of them.
_TRACING = 0.015  # to trace, fold and fuse a module of the network
_FIRST_TRACING = 0.6  # on top, where the process has not loaded torch's compiler yet
_COMPARED = 7.0  # passes over the images that graph and module are compared on: both at three points, and with half
_TRACED = 0.65  # time of a traced pass, of that by the module itself

_PAYS_BACK = 2.0  # tracing has to save so many times what it takes: both are estimates
_SHARE = 0.1  # of the run, for tracing and trials together

_FEW = 4  # images, where graph and module cannot be compared on all of the first block in that time


@final
class Budget:
    """What tracing a network costs, what it saves, and what is left for trials.

    Args:
        work: What is to be done.
        seconds: For a pass of the first images by the module itself.

    Attributes:
        seconds: The same.
    """

    def __init__(self, work: Work, seconds: float) -> None:
        images = work.images or work.population
        passes = len(work.coordinates) * images / work.first.count if images else float("inf")
        # Whatever time it is given: a run that was stopped goes on to the bits of one that never was.
        by_module = passes * seconds
        self.seconds = seconds
        self._images = work.first.count
        self._comparing = _COMPARED * seconds
        tracing = 0.0 if work.model in work.graphs else _tracing_seconds(work)
        self._graph = tracing + self._comparing * min(1.0, _FEW / self._images)
        self._saved = (1 - _TRACED) * by_module
        self._left = _SHARE * _TRACED * by_module - self._graph

    @property
    def pays(self) -> bool:
        """Whether tracing saves enough time for what it takes, its comparison with the module included."""
        return self._graph * _PAYS_BACK < self._saved

    def compared(self) -> int:
        """On how many of the first images graph and module are compared: all where that can be had, else a few."""
        return self._images if self.take(self._comparing) else min(_FEW, self._images)

    def take(self, seconds: float) -> bool:
        """Whether there is so much left for something else; then it is taken out."""
        if seconds > self._left:
            return False
        self._left -= seconds
        return True


def _tracing_seconds(work: Work) -> float:
    modules = sum(1 for _ in work.model.modules())
    return modules * _TRACING + (0.0 if "torch._dynamo" in sys.modules else _FIRST_TRACING)
