"""What evaluations on annotated images have in common in words and files: which images, and where tables lie."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from gradscape._files import replacing_text, save_rows
from gradscape._provenance import Provenance
from gradscape.studies.evaluation import SEEN, TEST
from gradscape.studies.evaluation_files import without_nan
from gradscape.studies.tested_images import describe_test

__all__ = ["AnnotatedEvaluation", "Rows", "describe_intervals", "save_annotated"]

Rows = Sequence[Mapping[str, Any]]
"""Lines of a table, by column."""

Lines = tuple[Sequence[str], Iterable[Mapping[str, Any]]]


@runtime_checkable
class AnnotatedEvaluation(Protocol):
    """A network on the images of a split."""

    @property
    def confidence(self) -> float: ...  # noqa: D102
    @property
    def meta(self) -> Provenance: ...  # noqa: D102


Evaluated = TypeVar("Evaluated", bound=AnnotatedEvaluation)


def describe_intervals(evaluations: Mapping[str, AnnotatedEvaluation], method: str, about: str) -> list[str]:
    """Say which images these are, what is measured, and what its intervals are, a line each.

    Args:
        evaluations: By network, on the same images.
        method: Of the intervals.
        about: What is measured.
    """
    first = next(iter(evaluations.values()))
    lines = [describe_test(first.meta[TEST]), about, f"{100 * first.confidence:g} % intervals: {method}"]
    if seen := [name for name, one in evaluations.items() if SEEN in one.meta]:
        lines.append(f"no test of {', '.join(seen)}, trained with these images or some of them")
    return lines


def save_annotated(
    evaluations: Mapping[str, Evaluated],
    folder: Path,
    *,
    tables: Mapping[str, Mapping[str, Lines]],
    scores: Mapping[str, Rows],
    classes: Mapping[str, Rows],
    remarks: Callable[[Mapping[str, Evaluated]], list[str]],
) -> list[Path]:
    """Write evaluation.csv, evaluation_classes.csv, evaluation.json with both, and each network's own tables.

    Args:
        evaluations: By the network's name, all on the same images.
        folder: Where they go; of several networks each has its own tables in a folder of its name.
        tables: Network -> file -> its columns and rows.
        scores: Network -> rows of evaluation.csv.
        classes: Network -> rows of evaluation_classes.csv.
        remarks: Says what must be known to read the numbers.

    Returns:
        The files.

    Raises:
        ValueError: There are no evaluations, or they are not on the same images.
    """
    if len({one.meta.get("image_digest") for one in evaluations.values()}) != 1:
        raise ValueError(
            "`evaluations` must be one or more on the same images; evaluate the networks on one `data`, with one "
            "`limit` and `seed`"
        )
    written = []
    for name, own in tables.items():  # first what cannot be made again from the rest
        for file, (columns, rows) in own.items():
            written.append((folder / name if len(tables) > 1 else folder) / file)
            save_rows(written[-1], columns, rows)
    for file, of_networks in (("evaluation.csv", scores), ("evaluation_classes.csv", classes)):
        every = [row for rows in of_networks.values() for row in rows]
        written.append(folder / file)
        save_rows(written[-1], list(every[0]), every)
    networks = {
        name: {"scores": scores[name], "classes": classes[name], "provenance": dict(one.meta)}
        for name, one in evaluations.items()
    }
    written.append(folder / "evaluation.json")
    with replacing_text(written[-1]) as text:
        told = without_nan({"networks": networks, "remarks": remarks(evaluations)})
        text.write(json.dumps(told, indent=1, ensure_ascii=False))
    return written
