"""What lies in folders: every result that gradscape wrote, and what could not be read."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from gradscape._arrays import load_arrays
from gradscape._checkpoint import read_checkpoint
from gradscape._names import error_line, is_function_name
from gradscape.data.pictures import ShownPictures, load_shown_pictures
from gradscape.explain.attention_map import AttentionMap, load_attention_maps
from gradscape.explain.embedding import Embedding
from gradscape.explain.faithfulness import MEASURES, Faithfulness
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.landscape import Line, Surface, load_landscape
from gradscape.models import Classifier, load_checkpoint
from gradscape.training.history import load_metrics

__all__ = ["Attention", "Findings", "Found", "collect"]

T = TypeVar("T")

_HEATMAP_TABLE, _TRAINING_TABLE = "cam.csv", "metrics.csv"


@dataclass(frozen=True, eq=False)
class Found(Generic[T]):
    """A result and its file.

    Attributes:
        path: The file.
        result: What it holds.
    """

    path: Path
    result: T


@dataclass(frozen=True, eq=False)
class Attention:
    """A network's attention maps.

    Attributes:
        maps: By name.
        meta: Provenance.
    """

    maps: Mapping[str, AttentionMap]
    meta: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Findings:
    """All that was found, in the order of the folders and of the names in them.

    Attributes:
        checkpoints: Networks.
        surfaces: Landscapes over a plane, evaluated at least at one point.
        lines: Landscapes along a line.
        heatmaps: One method of one network each.
        heatmap_tables: Rows of the tables beside heatmaps.
        faithfulness: Measures that were saved by themselves.
        attention: Attention of one network each.
        fusion: Features of one network each.
        embeddings: One network each.
        trainings: Columns of numbers, one an epoch.
        pictures: What networks were shown.
        unread: Files that look like results and why they are none.
    """

    checkpoints: list[Found[Classifier]] = field(default_factory=list)
    surfaces: list[Found[Surface]] = field(default_factory=list)
    lines: list[Found[Line]] = field(default_factory=list)
    heatmaps: list[Found[Heatmaps]] = field(default_factory=list)
    heatmap_tables: list[Found[list[dict[str, str]]]] = field(default_factory=list)
    faithfulness: list[Found[Faithfulness]] = field(default_factory=list)
    attention: list[Found[Attention]] = field(default_factory=list)
    fusion: list[Found[FusionMaps]] = field(default_factory=list)
    embeddings: list[Found[Embedding]] = field(default_factory=list)
    trainings: list[Found[dict[str, np.ndarray]]] = field(default_factory=list)
    pictures: list[Found[ShownPictures]] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to report."""
        return not any(value for name, value in vars(self).items() if name not in ("unread", "pictures"))


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
    seen: set[Path] = set()
    for folder in folders:
        if not folder.exists():
            raise FileNotFoundError(f"there is no folder {folder}")
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} must be a folder that a command wrote, but is a file")
        for path in _files(folder):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                _read(path, findings)
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


def _read(path: Path, findings: Findings) -> None:
    reader = _READERS.get(path.name) or _READERS.get(path.suffix)
    if reader is None:
        return
    try:
        reader(path, findings)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, ImportError, csv.Error) as problem:
        findings.unread.append((path, error_line(problem)))


def _read_checkpoint(path: Path, findings: Findings) -> None:
    name = read_checkpoint(path)[1]["name"]
    if is_function_name(name):
        raise ValueError(f"its network is made by {name}, and a report runs no code that a file names")
    findings.checkpoints.append(Found(path, load_checkpoint(path)))


def _read_landscape(path: Path, findings: Findings) -> None:
    result = load_landscape(path)
    if not result.count.any():
        raise ValueError("no point of it was evaluated")
    if isinstance(result, Surface):
        findings.surfaces.append(Found(path, result))
    else:
        findings.lines.append(Found(path, result))


def _read_arrays(path: Path, findings: Findings) -> None:
    meta = load_arrays(path)[1]
    if "heatmaps" in meta:
        findings.heatmaps.append(Found(path, Heatmaps.load(path)))
    elif "attention_maps" in meta:
        findings.attention.append(Found(path, Attention(*load_attention_maps(path))))
    elif "fusion" in meta:
        findings.fusion.append(Found(path, FusionMaps.load(path)))
    elif "embedding" in meta:
        findings.embeddings.append(Found(path, Embedding.load(path)))
    elif "faithfulness" in meta:
        findings.faithfulness.append(Found(path, Faithfulness.load(path)))
    elif "pictures" in meta:
        findings.pictures.append(Found(path, load_shown_pictures(path)))
    else:
        raise ValueError("it holds nothing that the report shows")


def _read_training(path: Path, findings: Findings) -> None:
    with path.open(encoding="utf-8") as file:
        if not file.readline().startswith("epoch,"):
            return  # comparisons of landscapes have a table of that name too
    metrics = load_metrics(path)
    if not metrics["epoch"].size:
        raise ValueError("it holds no epoch")
    findings.trainings.append(Found(path, metrics))


def _read_table(path: Path, findings: Findings) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for name in MEASURES:
            float(row.get(name) or 0)  # a table with other things than numbers is not ours
    findings.heatmap_tables.append(Found(path, rows))


_READERS: dict[str, Callable[[Path, Findings], None]] = {
    ".safetensors": _read_checkpoint,
    ".h5": _read_landscape,
    ".npz": _read_arrays,
    _TRAINING_TABLE: _read_training,
    _HEATMAP_TABLE: _read_table,
}
