"""Aborts calls at random moments, compares everything before and after, and keeps count in `table.csv`, the sums in
docs/robustness.md.

Run as `python -m tests.aborts.campaign 10000`: it goes on where the table ends.
"""

import csv
import gc
import logging
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from tests.aborts.calls import CALLS, Call
from tests.aborts.networks import NETWORKS, make_network
from tests.aborts.snapshot import differences, model_state, process_state
from tests.aborts.trip import Place, Trip, interrupted, watched
from tests.page_tables import ROBUSTNESS, put_table

__all__ = ["Case", "Outcome", "abort", "cases", "stop"]

TABLE = Path(__file__).with_name("table.csv")
_KINDS = ("step", "signal", "entry", "event")
_RARE = {"compiled": 0.05, "lazy": 0.2}


@dataclass(frozen=True)
class Case:
    """One call to be aborted.

    Attributes:
        call: Its name in `CALLS`.
        network: Its name in `NETWORKS`.
        kind: "event", where the user's own code raises; "step", KeyboardInterrupt at any instruction of gradscape's;
            "signal", SIGINT there; "entry", SIGINT as any function is entered, torch's and Python's own too.
        seed: Draws the moment.
    """

    call: str
    network: str
    kind: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What an aborted call did.

    Attributes:
        ended: How: the exception, or "ran".
        where: The moment.
        changed: What was not as before, at once or once the exception is forgotten.
    """

    ended: str
    where: str
    changed: tuple[str, ...]


def cases(first: int, count: int) -> Iterator[Case]:
    """The cases from a number on."""
    for number in range(first, first + count):
        draw = random.Random(number)
        (call,) = draw.choices(list(CALLS), [one.share for one in CALLS.values()])
        (network,) = draw.choices(list(NETWORKS), [_RARE.get(name, 1.0) for name in NETWORKS])
        yield Case(call, network, draw.choice(_KINDS), number)


@cache
def _warm(call: str) -> None:
    """Run a call once: what it imports changes the process, and what is remembered of a model is so from then on."""
    trip = Trip()
    CALLS[call].run(make_network("plain", trip), trip)


@cache
def _moments(call: str) -> tuple[dict[Any, int], int, dict[str, int]]:
    """What can be met on the way: steps, entries into functions, and events of the user's code."""
    _warm(call)
    trip = Trip()
    model = make_network("plain", trip)
    trip.seen.clear()
    with watched() as (steps, entries):
        CALLS[call].run(model, trip)
    return dict(steps), entries[None], dict(trip.seen)


def abort(case: Case) -> Outcome:
    """Run a case, and say what was not as before."""
    steps, entries, seen = _moments(case.call)
    draw = random.Random(case.seed)
    if case.kind == "event" and seen:
        event = draw.choice(sorted(seen))
        return stop(case.call, case.network, event=(event, draw.randint(1, seen[event])))
    if case.kind in ("entry", "event"):
        return stop(case.call, case.network, place=Place(None, 0, draw.randint(1, max(entries, 1))))
    code, offset = draw.choice(list(steps))
    place = Place(code, offset, draw.randint(1, steps[code, offset]))
    return stop(case.call, case.network, place=place, by_signal=case.kind == "signal")


def stop(
    call: str,
    network: str,
    *,
    event: tuple[str, int] | None = None,
    place: Place | None = None,
    by_signal: bool = True,
) -> Outcome:
    """Stop a call at an event of the user's code or at a place, and say what was not as before.

    Args:
        call: Its name in `CALLS`.
        network: Its name in `NETWORKS`.
        event: Which, and at which time.
        place: Where it is interrupted.
        by_signal: Whether by a signal.
    """
    _warm(call)
    trip, called = Trip(), CALLS[call]
    model = make_network(network, trip)
    trip.seen.clear()
    trip.kind, trip.count = event or ("", 0)
    before, places = _state(model, called), list[str]()
    ended = "ran"
    kept: BaseException | None = None
    stopping: AbstractContextManager[list[str]] = nullcontext(places)
    if place is not None:
        stopping = interrupted(place, by_signal=by_signal)
    try:
        with stopping as places:
            called.run(model, trip)
    except (Exception, KeyboardInterrupt) as problem:
        ended, kept = type(problem).__name__, problem
    where = str(event) if place is None else "".join(places) or "not met"
    changed = differences(before, _state(model, called))
    # An exception that is kept, as notebooks do, must hold nothing that acts later, over what was done since.
    _go_on(model)
    before = _state(model, called)
    if changed:
        where += "".join(traceback.format_exception(kept))
    kept = None
    gc.collect(1)  # what is older than the call need not be looked at
    changed += [f"later {name}" for name in differences(before, _state(model, called))]
    return Outcome(ended, where, tuple(changed))


def _go_on(model: nn.Module) -> None:
    """What a user does next."""
    with torch.no_grad():
        for parameter in model.parameters():
            if not (isinstance(parameter, UninitializedParameter) or parameter.is_inference()):
                parameter.add_(1)
    torch.rand(1)
    random.random()


def _state(model: nn.Module, call: Call) -> dict[str, Any]:
    return process_state() if call.trains else {**process_state(), **model_state(model)}


def _main(until: int) -> int:
    rows: Counter[tuple[str, str, str]] = Counter()
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            rows.update({(row["call"], row["kind"], row["ended"]): int(row["count"]) for row in csv.DictReader(file)})
    began, bad = time.monotonic(), 0
    for number, case in enumerate(cases(rows.total(), max(0, until - rows.total())), 1):
        outcome = abort(case)
        rows[case.call, case.kind, "CHANGED" if outcome.changed else outcome.ended] += 1
        if outcome.changed:
            bad += 1
            _say(f"{case} {outcome}")
        if number % 50 == 0:
            _write(rows)
            _say(f"{rows.total()} calls, {bad} not as before, {time.monotonic() - began:.0f} s")
    _write(rows)
    return bad


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _write(rows: Counter[tuple[str, str, str]]) -> None:
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("call", "kind", "ended", "count"))
        writer.writerows((*key, count) for key, count in sorted(rows.items()))
    put_table(ROBUSTNESS, "python -m tests.aborts.campaign", _drawn(rows))


def _drawn(rows: Counter[tuple[str, str, str]]) -> str:
    """How many calls were stopped in which way, and of how many something was not as before."""
    lines = ["| call | at an event | at a step | by a signal | at an entry | not as before |", f"|---{'|---:' * 5}|"]
    for call in [*sorted({call for call, *_ in rows}), "**all**"]:
        chosen = {key: count for key, count in rows.items() if call in (key[0], "**all**")}
        kinds = [
            sum(count for (_, one, _), count in chosen.items() if one == kind)
            for kind in ("event", "step", "signal", "entry")
        ]
        changed = sum(count for (*_, ended), count in chosen.items() if ended == "CHANGED")
        lines.append(f"| {call} | {' | '.join(map(str, [*kinds, changed]))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    sys.exit(min(_main(int(sys.argv[1])), 1))
