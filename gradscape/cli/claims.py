"""One command at a time writes to an output."""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

from gradscape.cli.stops import STOPS

__all__ = ["LOCK", "claimed", "claimed_place"]

try:
    import fcntl
except ImportError:  # Windows, where nobody is told
    fcntl = None  # type: ignore[assignment]

LOCK = ".gradscape-lock"

_FILES = {"convert", "import", "models", "plot", "report", "table"}  # the commands whose `--output` is one file


def claimed_place(command: str, options: Mapping[str, Any]) -> Path | None:
    """The lock file that stands for all that a command writes; None of one that writes nothing.

    That of a folder lies in it, and that of a file beside it: two pictures of one folder may be drawn at once.

    Args:
        command: Its name.
        options: Its options by their names in Python.
    """
    output = options.get("output")
    if output is None or options.get("dry_run") or options.get("listed"):
        return None
    output = output.absolute()
    if command == "figure":  # several of them write into one folder, each by its own name
        name = options.get("name")
        return output / f"{LOCK}-{_plain(name)}" if name else None
    return output.parent / f"{LOCK}-{_plain(output.name)}" if command in _FILES else output / LOCK


@contextmanager
def claimed(place: Path) -> Iterator[None]:
    """Hold a lock file, which ends with its process however that ends; afterwards it is gone, and so are empty folders.

    It is a record lock (POSIX), which children do not inherit and network file systems know. Where there are none, or
    the file cannot be written, nothing is held: whoever writes there will say why that is impossible.

    Args:
        place: The lock file; missing folders are made.

    Raises:
        TyperException: Another process holds it.
    """
    made = [folder for folder in place.parents if not folder.exists()]
    descriptor = None
    try:
        if fcntl is not None:
            descriptor = _lock(place)
        yield
    finally:
        STOPS.rest()  # the command has ended: a signal that comes now waits until the lock is gone
        if fcntl is not None:
            _remove(place)
        if descriptor is not None:
            os.close(descriptor)
        for folder in made:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def _lock(place: Path) -> int | None:
    while True:
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return None
        if not _is_held(descriptor):
            holder = os.read(descriptor, 200).decode(errors="replace")
            os.close(descriptor)
            raise typer.TyperException(_told(place, holder))
        if os.fstat(descriptor).st_nlink:  # else its last holder has just removed it
            with suppress(OSError):  # a full disk: then the second is told without a name
                os.truncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            return descriptor
        os.close(descriptor)


def _remove(place: Path) -> None:
    """Remove a lock file, also one that a signal kept from being held; that of another process stays."""
    try:
        descriptor = os.open(place, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    with suppress(OSError):
        if _is_held(descriptor) and os.path.samestat(os.fstat(descriptor), place.stat()):
            place.unlink()  # while it is held, so that nobody else's goes
    os.close(descriptor)


def _is_held(descriptor: int) -> bool:
    """Take the lock; whether this process has it now, as every one has where there are no locks."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return True
    return True


def _told(place: Path, holder: str) -> str:
    output = place.parent if place.name == LOCK else place.parent / place.name.removeprefix(f"{LOCK}-")
    who = f" ({holder})" if holder else ""
    return f"another gradscape{who} is writing to {output}: wait until it has ended, or choose another `--output`"


def _plain(name: str) -> str:
    return name.replace("/", "_").replace(":", "_")[-60:]
