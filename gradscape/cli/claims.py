"""One command at a time writes to an output."""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

__all__ = ["LOCK", "claimed", "claimed_place"]

try:
    import fcntl
except ImportError:  # Windows, where nobody is told
    fcntl = None  # type: ignore[assignment]

LOCK = ".gradscape-lock"

_FILES = {"convert", "import", "plot", "report", "table"}  # the commands whose `--output` is one file


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
    descriptor = _lock(place) if fcntl is not None else None
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):
                place.unlink()  # while it is held, so that nobody else's goes
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
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:  # else its last holder has just removed it
                os.truncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
                return descriptor
        except (BlockingIOError, PermissionError):
            holder = os.read(descriptor, 200).decode(errors="replace")
            os.close(descriptor)
            raise typer.TyperException(_told(place, holder)) from None
        except OSError:  # a file system without locks, or a full one: written or not, what there is of a lock is held
            return descriptor
        os.close(descriptor)


def _told(place: Path, holder: str) -> str:
    output = place.parent if place.name == LOCK else place.parent / place.name.removeprefix(f"{LOCK}-")
    who = f" ({holder})" if holder else ""
    return f"another gradscape{who} is writing to {output}: wait until it has ended, or choose another `--output`"


def _plain(name: str) -> str:
    return name.replace("/", "_").replace(":", "_")[-60:]
