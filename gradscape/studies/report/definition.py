"""What a kind of result says of itself, so that the report finds it, shows it and tells how to make it again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from gradscape.data.pictures import ShownPictures
from gradscape.models import Classifier
from gradscape.studies.report.facts import Fact
from gradscape.studies.report.found import Found, ReportedNetwork, ReportedNetworks

__all__ = ["Reader", "ReportKind", "Section", "Shown", "Suggestion"]

Reader = Callable[[Path], Found[object] | None]
"""Reads a file; None where it turns out to be of no interest."""


@final
@dataclass(frozen=True)
class Section:
    """A part of the page with a heading of its own, in which one kind or several are shown.

    Attributes:
        anchor: What links to it are called.
        title: Its heading.
    """

    anchor: str
    title: str


@final
@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows of all results of a kind.

    Attributes:
        given: What the kind's template gets, as `shown`.
        content: What the kind's script gets, as JSON can hold it; None where it has no script.
        libraries: JavaScript that the script needs.
    """

    given: object
    content: object = None
    libraries: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Suggestion:
    """A command for what is not there yet.

    Attributes:
        what: What it makes.
        command: The command without "gradscape" and the output, in which `{networks}`, `{network}` (the first one),
            `{model}` (its name), `{data}` and `{images}` stand for what is known.
        fits: Whether it makes sense for a network; without one for which it does, it is not suggested.
    """

    what: str
    command: str
    fits: Callable[[Classifier], bool] | None = None


def _by_weights(networks: ReportedNetworks, found: Found[object]) -> list[ReportedNetwork]:
    return [networks.by_weights(found)]


def _no_commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return []


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class ReportKind:
    """A kind of result. Its functions get at their results by `network.of(Type)`.

    Its template is `report/sections/NAME.html` by its name among the kinds; a script, `NAME.js`, may lie beside it.

    Attributes:
        section: Where it is shown. Kinds of one section follow each other.
        readers: How its files are read, by what tells them from others: the file's name ("metrics.csv"), its ending
            and an entry that only such files have (".npz:NAME"), or its ending alone (".h5").
        show: What there is on the page; None where there is nothing. It gets the pictures that were found, too.
        describe: Provenance of a network's results.
        commands: Command lines that make all results again.
        suggestion: What to run where there is none.
        owners: The networks that a result belongs to.
        precedes: Whether all else rests on what its commands make, so that they come first.
        template: The name of its template, where it has none of its own.
    """

    section: Section
    readers: Mapping[str, Reader]
    show: Callable[[Sequence[ReportedNetwork], Sequence[Found[ShownPictures]]], Shown | None]
    describe: Callable[[ReportedNetwork], list[Fact]]
    commands: Callable[[Sequence[ReportedNetwork]], list[str]] = _no_commands
    suggestion: Suggestion | None = None
    owners: Callable[[ReportedNetworks, Found[object]], list[ReportedNetwork]] = _by_weights
    precedes: bool = False
    template: str = ""
