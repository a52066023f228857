"""What the operating system refused, on one line: the place, the reason, and what to do."""

import errno
import os

__all__ = ["describe_os_error"]

_ELSEWHERE = "choose a place that can be written"
_MOUNTED = "see that its disk is still there and mounted"
_REMEDIES = {
    errno.EACCES: "its owner, a folder above it or the umask forbids it; ask for the right, or choose another place",
    errno.EDQUOT: "remove something, or choose another place",
    errno.EFBIG: "raise `ulimit -f`, or choose a place that takes larger files",
    errno.EIO: _MOUNTED,
    errno.EISDIR: "name a file in it",
    errno.ELOOP: "its links lead in a circle; name the file itself",
    errno.EMFILE: "raise `ulimit -n`",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENODEV: _MOUNTED,
    errno.ENOSPC: "make room, or choose another place",
    errno.ENOTCONN: _MOUNTED,
    errno.ENOTDIR: "a part of this path is a file; choose another place",
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ESTALE: _MOUNTED,
}


def describe_os_error(problem: OSError) -> str:
    """Say which place it is, what the system says of it, and what helps.

    Args:
        problem: Of the system, or of a library with a message of its own.

    Returns:
        One sentence or two; a message of its own stays as it is.
    """
    if not problem.errno:
        return str(problem)
    place = [] if problem.filename is None else [os.fsdecode(problem.filename)]
    said = ": ".join([*place, os.strerror(problem.errno)])
    remedy = _REMEDIES.get(problem.errno)
    return f"{said}; {remedy}" if remedy else said
