"""Threads that wait for others sleep, instead of spinning on the cores that somebody else needs."""

import os
import sys

__all__ = ["let_idle_threads_sleep"]

_CHOICES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # of OpenMP, GNU's and LLVM's
# A fraction of a millisecond, as long as the next operator usually is away: threads that sleep at once take a fifth
# longer to train a small network on a quiet machine.
_SPINS = 10_000


def let_idle_threads_sleep() -> bool:
    """Tell OpenMP that threads which wait for the others sleep; beside a busy process they are several times as fast.

    By default they spin, for milliseconds, after every operator. Where another process keeps a core busy, that is the
    time in which the thread that all wait for would have run.

    OpenMP reads the environment once, as torch loads it; processes that this one starts inherit it. It is a choice for
    the whole process, so that only programs make it, never the library.

    Returns:
        Whether it was set: not where the user has chosen, nor where torch is loaded already.
    """
    if "torch" in sys.modules or not os.environ.keys().isdisjoint(_CHOICES):
        return False
    os.environ.update(OMP_WAIT_POLICY="passive", GOMP_SPINCOUNT=str(_SPINS))
    return True
