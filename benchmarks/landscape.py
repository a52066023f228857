"""Time a point of a loss landscape: gradscape against the plain loop of the known tools and a bare forward pass.

Run it from anywhere: `python benchmarks/landscape.py [--help]`. One turn is one grid point of each contestant, all at
the same position, on the same network, images and directions. Two child processes take the turns alternately, one with
the C library's own allocator, as users run the known tools, and one that keeps freed memory, as gradscape's program
does; only one of them computes at a time. Printed are medians with quartiles over the turns, in Markdown.
"""

import argparse
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from contestants import PLAIN, contestants
from peak import measured_peaks
from peers import peers
from plain_loop import WORKERS
from positions import Position
from subject import IMAGE_SIZE, load_subject

from gradscape._allocator import keep_freed_memory
from gradscape.models import count_macs

ALLOCATORS = ("default", "kept")
_AXIS = (-0.5, 0.0, 0.5)
POSITIONS: tuple[Position, ...] = tuple((alpha, beta) for alpha in _AXIS for beta in _AXIS)


@dataclass(frozen=True)
class Greeting:
    """What a child says of itself before the turns.

    Attributes:
        subject: Which network, weights and images.
        notes: Name of each contestant -> what a reader should know.
        precisions: Name of each contestant -> its precision.
        operations: Floating-point operations of one point, two for each multiply-add.
        peaks: Precision -> operations per second of the best matrix product or convolution.
    """

    subject: str
    notes: Mapping[str, str]
    precisions: Mapping[str, str]
    operations: int
    peaks: Mapping[str, float]


@dataclass(frozen=True)
class Turns:
    """Seconds per point and losses of one contestant under one allocator, turn by turn."""

    seconds: np.ndarray
    losses: np.ndarray


def main() -> None:
    """Measure and print one table a network."""
    parser = argparse.ArgumentParser(description="Time a point of a loss landscape.")
    parser.add_argument("--net", nargs="+", default=["resnet56_projection"], help="names as create_model takes them")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9, help="turns, after one that warms up")
    parser.add_argument("--allocator", choices=ALLOCATORS, help="only this one, by default both")
    parser.add_argument("--loop-workers", type=int, default=WORKERS, help="processes of the plain loop's DataLoader")
    parser.add_argument("--peers", action="store_true", help="also other tools, where they are installed")
    arguments = parser.parse_args()
    if arguments.peers and arguments.allocator == "kept":
        parser.error("--peers run with the default allocator, as their users run them: leave --allocator away")
    for name in arguments.net:
        greeting, turns = _compete(name, arguments)
        print("\n".join(_report(greeting, turns, arguments)), flush=True)


def _compete(name: str, arguments: argparse.Namespace) -> tuple[Greeting, dict[tuple[str, str], Turns]]:
    """Let the children of one network take turns; the results by contestant and allocator."""
    with ExitStack() as stack:
        chosen = [arguments.allocator] if arguments.allocator else ALLOCATORS
        children = {allocator: stack.enter_context(_Child(name, allocator, arguments)) for allocator in chosen}
        names = list(dict.fromkeys(who for child in children.values() for who in child.greeting.notes))
        pairs = [(who, allocator) for who in names for allocator in children]
        measured: dict[tuple[str, str], list[tuple[float, float]]] = {pair: [] for pair in pairs}
        for turn in range(-1, arguments.repeats):  # the first one warms up
            for who, allocator in pairs if turn % 2 else reversed(pairs):
                if who in children[allocator].greeting.notes:
                    result = children[allocator].ask((who, POSITIONS[turn % len(POSITIONS)]))
                    measured[who, allocator] += [result] if turn >= 0 else []
        greetings = {allocator: child.greeting for allocator, child in children.items()}
    first = greetings[chosen[0]]
    peaks = {kind: max(greeting.peaks[kind] for greeting in greetings.values()) for kind in first.peaks}
    notes = {who: _note({name: greeting.notes.get(who) for name, greeting in greetings.items()}) for who in names}
    greeting = Greeting(first.subject, notes, first.precisions, first.operations, peaks)
    return greeting, {pair: Turns(*np.array(values).T) for pair, values in measured.items() if values}


def _note(notes: Mapping[str, str | None]) -> str:
    """One note where all allocators have the same, else each with its allocator."""
    given = {allocator: note for allocator, note in notes.items() if note}
    if len(set(given.values())) < 2:
        return next(iter(given.values()), "")
    return "; ".join(f"{allocator}: {note}" for allocator, note in given.items())


class _Child:
    """A process with an allocator of its own, which measures what it is asked for, and waits meanwhile."""

    def __init__(self, name: str, allocator: str, arguments: argparse.Namespace) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, name, allocator, arguments))
        self._process.start()
        theirs.close()

    def __enter__(self) -> "_Child":
        self.greeting: Greeting = self._receive()
        return self

    def ask(self, question: tuple[str, Position]) -> Any:
        self._connection.send(question)
        return self._receive()

    def _receive(self) -> Any:
        try:
            return self._connection.recv()
        except EOFError:
            self._process.join()
            raise SystemExit(f"a measuring process ended with exit code {self._process.exitcode}") from None

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, name: str, allocator: str, arguments: argparse.Namespace) -> None:
    """A child's life: greet, measure as long as there are questions, end when the parent hangs up."""
    if allocator == "kept" and not keep_freed_memory():
        raise RuntimeError("this C library's allocator cannot be told to keep freed memory: run --allocator default")
    multiprocessing.set_start_method(
        None, force=True
    )  # the loop's workers start as in any program, not as this one did
    torch.set_num_threads(arguments.threads)
    subject = load_subject(name, arguments.images)
    all_of_them = contestants(subject, loop_workers=arguments.loop_workers)
    if arguments.peers and allocator == "default":
        all_of_them |= peers(subject)
    connection.send(
        Greeting(
            subject.description,
            {who: contestant.note for who, contestant in all_of_them.items()},
            {who: contestant.precision for who, contestant in all_of_them.items()},
            2 * count_macs(subject.net, IMAGE_SIZE) * arguments.images,
            measured_peaks(),
        )
    )
    while True:
        try:
            who, position = connection.recv()
        except EOFError:
            return
        measure = all_of_them[who].prepare(position)
        start = time.perf_counter()
        loss = measure()
        connection.send(((time.perf_counter() - start) / all_of_them[who].points, loss))


def _report(greeting: Greeting, turns: Mapping[tuple[str, str], Turns], arguments: argparse.Namespace) -> list[str]:
    """The table of one network, with what it is of, line by line."""
    allocators = [allocator for allocator in ALLOCATORS if (PLAIN, allocator) in turns]
    reference = turns[PLAIN, allocators[0]]
    heads = ["contestant"]
    for allocator in allocators:
        heads += [f"ms a point, {allocator}", f"times the loop's rate, {allocator}"]
    if len(allocators) == 2:
        heads.append("kept, times the default loop's rate")
    rows = [[*heads, "loss differs by at most", "share of peak"]]
    for who, precision in greeting.precisions.items():
        row, own = [who], {allocator: turns[who, allocator] for allocator in allocators if (who, allocator) in turns}
        for allocator in allocators:
            row += _timed(own[allocator], turns[PLAIN, allocator]) if allocator in own else ["", ""]
        if len(allocators) == 2:
            row.append(_quartiles(reference.seconds / own["kept"].seconds) if "kept" in own else "")
        apart = max(np.max(np.abs(one.losses / reference.losses - 1)) for one in own.values())
        fastest = min(float(np.median(one.seconds)) for one in own.values())
        share = greeting.operations / fastest / greeting.peaks[precision]
        rows.append([*row, "not comparable" if np.isnan(apart) else f"{apart:.1e}", f"{100 * share:.0f} %"])
    said = f"{greeting.subject}, threads: {arguments.threads}, turns: {arguments.repeats}"
    peaks = ", ".join(f"{kind} {rate / 1e9:.0f} GFLOP/s" for kind, rate in greeting.peaks.items())
    notes = [f"- {who}: {note}" for who, note in greeting.notes.items() if note]
    return [f"### {said}", "", *_markdown(rows), "", f"- peak: {peaks}", *notes, ""]


def _timed(own: Turns, loop: Turns) -> list[str]:
    return [_quartiles(1e3 * own.seconds), _quartiles(loop.seconds / own.seconds)]


def _quartiles(values: np.ndarray) -> str:
    """The median and its neighbors, to three digits."""
    low, middle, high = (
        f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in np.percentile(values, [25, 50, 75])
    )
    return f"{middle} ({low} – {high})"


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return [head, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *body]


if __name__ == "__main__":
    main()
