"""Keep big activations in the process instead of returning them to the system after every operator."""

import ctypes
import sys

__all__ = ["freed_memory_is_kept", "keep_freed_memory"]

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3

_kept = False


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep what is freed: without this, page faults cost up to two thirds of a CPU's time.

    It changes the whole process, so that only programs call it, never the library.

    Returns:
        Whether the C library is glibc and took both settings.
    """
    global _kept
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    _kept = bool(mallopt(_M_MMAP_THRESHOLD, 2**30)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
    return _kept


def freed_memory_is_kept() -> bool:
    """Whether `keep_freed_memory` has done its work in this process."""
    return _kept
