"""What lies in folders: every result that gradscape wrote, and what could not be read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar, final

from gradscape._arrays import load_provenance
from gradscape._checkpoint import read_checkpoint
from gradscape._hdf5 import open_hdf5
from gradscape._names import error_line, is_function_name
from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures, load_shown_pictures
from gradscape.landscape.paths.curve_files import is_curve
from gradscape.models import Classifier, load_checkpoint
from gradscape.studies.report.found import Found
from gradscape.studies.report.kinds import KINDS
from gradscape.training.kept import is_kept

__all__ = ["Findings", "collect"]

T = TypeVar("T")


@final
@dataclass(frozen=True, eq=False)
class Findings:
    """All that was found, in the order of the folders and of the names in them.

    Attributes:
        checkpoints: ReportedNetworks.
        results: What was made of them, by the name of its kind, in the order of the kinds.
        pictures: What networks were shown.
        unread: Files that look like results and why they are none.
    """

    checkpoints: list[Found[Classifier]] = field(default_factory=list)
    results: dict[str, list[Found[object]]] = field(default_factory=lambda: {name: [] for name in KINDS})
    pictures: list[Found[ShownPictures]] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to report."""
        return not self.checkpoints and not any(self.results.values())


def collect(folders: Sequence[Path]) -> Findings:
    """Read every result in folders and the folders in them.

    Args:
        folders: Where to look; what lies in two of them is taken once.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: It is a file.
        ValueError: There is no result in any of them.
    """
    findings = Findings()
    readers = _readers(findings)
    seen: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise FileNotFoundError(f"there is no folder {folder}")
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} must be a folder that a command wrote, but is a file")
        for path in _files(folder):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                _read(path, readers, findings)
    if findings.empty:
        unread = "".join(f"; {path} was not read: {reason}" for path, reason in findings.unread[:1])
        raise ValueError(
            f"`RUN_DIR` must hold results of gradscape (train, landscape, cam, …), but there are none in "
            f"{', '.join(map(str, folders))}{unread}"
        )
    return findings


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path


def _readers(findings: Findings) -> dict[str, Callable[[Path], None]]:
    """What reads a file and keeps what it holds, by what tells the file from others."""
    readers = {
        mark: partial(_keep, findings.results[name], read)
        for name, kind in KINDS.items()
        for mark, read in kind.readers.items()
    }
    return {
        **readers,
        ".safetensors": partial(_keep, findings.checkpoints, _read_checkpoint),
        ".npz:pictures": partial(_keep, findings.pictures, _read_pictures),
    }


def _keep(kept: list[Found[T]], read: Callable[[Path], Found[T] | None], path: Path) -> None:
    if found := read(path):
        kept.append(found)


def _read(path: Path, readers: Mapping[str, Callable[[Path], None]], findings: Findings) -> None:
    try:
        marks = set(_marks(path))
        # Entries may be a user's own too: of several the kind that comes first has the file, pictures come last.
        reader = next((read for mark, read in readers.items() if mark in marks and mark != path.suffix), None)
        reader = reader or readers.get(path.suffix)
        if reader is not None:
            reader(path)
        elif path.suffix in _ENTRIES:
            raise ValueError("it holds nothing that the report shows")
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as problem:
        findings.unread.append((path, error_line(problem)))


def _marks(path: Path) -> Iterator[str]:
    """What may tell a file from others, the most telling first."""
    yield path.name
    if path.suffix in _ENTRIES:
        for entry in _ENTRIES[path.suffix](path):
            yield f"{path.suffix}:{entry}"
    yield path.suffix


def _array_entries(path: Path) -> Iterable[str]:
    return load_provenance(path)


def _hdf5_entries(path: Path) -> Iterable[str]:
    with open_hdf5(path, "landscape file") as file:
        return file.names()


_ENTRIES: dict[str, Callable[[Path], Iterable[str]]] = {".npz": _array_entries, ".h5": _hdf5_entries}


def _read_checkpoint(path: Path) -> Found[Classifier] | None:
    if is_kept(path) or is_curve(path):  # the line along a curve tells of it
        return None
    name = read_checkpoint(path)[1]["name"]
    if is_function_name(name):
        raise ValueError(f"its network is made by {name}, and a report runs no code that a file names")
    model = load_checkpoint(path)
    return Found(path, model, Provenance.of(model.meta))


def _read_pictures(path: Path) -> Found[ShownPictures]:
    return Found(path, load_shown_pictures(path))
