"""Whether a run keeps the rate that its plan had when it was tried."""

import logging
import time
from typing import final

__all__ = ["Pace"]

_log = logging.getLogger(__name__)

_WATCHED = 10.0  # s of forward passes, over which a rate is taken
_MUCH_SLOWER = 2.0  # times


@final
class Pace:
    """Warns once where a run is much slower than planned, which a busy machine is the usual reason of.

    The first pass says nothing: compiled code may be made in it.

    Args:
        planned: Images a second, at one point each; None where nothing was tried.
        batch_size: Images in a forward pass of the plan: jobs of fewer are slower by themselves, and say nothing.
    """

    def __init__(self, planned: float | None, batch_size: int) -> None:
        self._planned, self._batch_size = planned, batch_size
        self._images, self._seconds = 0, 0.0
        self._last = time.monotonic()
        self._warm = False

    def rest(self) -> None:
        """What came since the last call were no forward passes."""
        self._last = time.monotonic()

    def passed(self, images: int, *, points: int = 1) -> None:
        """So many images went through the network at each of so many points since the last call."""
        now = time.monotonic()
        if self._warm and images >= self._batch_size:
            self._images += images * points
            self._seconds += now - self._last
        self._last, self._warm = now, True
        if self._seconds >= _WATCHED:
            self._judge(self._images / self._seconds)
            self._images, self._seconds = 0, 0.0

    def _judge(self, rate: float) -> None:
        if self._planned is None or rate * _MUCH_SLOWER > self._planned:
            return
        _log.warning(
            "slower than planned: %.3g images a second instead of %.3g; does something else keep this machine busy? "
            "The numbers stay the same",
            rate,
            self._planned,
        )
        self._planned = None
