"""Where a command's time went, told at its end."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from gradscape._profile import PARTS, Part, Profile, profiling
from gradscape.cli import options
from gradscape.cli.console import say, say_table
from gradscape.cli.start import STARTED

__all__ = ["HEADINGS", "tabulate_parts", "with_profile"]

HEADINGS = ("part", "seconds ", "share ")

_CALLED: Final[Mapping[Part, str]] = {
    "starting": "starting: Python, imports",
    "data": "data: networks and images",
    "planning": "planning: checks, tracing, trials",
    "points": "points: passes through networks",
    "writing": "writing files",
    "drawing": "drawing",
    "rest": "the rest",
}
_ELSEWHERE = "points are passed by processes of Ray: this one only waits for them, which is the time told"


def with_profile(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option `--profile`, which prints at its end where the time since its start went."""

    @functools.wraps(command)
    def run(*, profile: bool, **given: Any) -> None:
        if not profile:
            command(**given)
            return
        with profiling(Profile(began=STARTED)) as found:
            command(**given)
        say_table(HEADINGS, tabulate_parts(found.seconds()))
        if given.get("ray") is not None:
            say(_ELSEWHERE)

    signature = inspect.signature(command)
    added = inspect.Parameter("profile", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=options.Profile)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])  # type: ignore[attr-defined]
    return run


def tabulate_parts(seconds: Mapping[Part, float]) -> list[tuple[str, ...]]:
    """Return a row of text for each part, and one for the whole, under `HEADINGS`.

    Args:
        seconds: By part.
    """
    whole = sum(seconds.values())
    rows = [(_CALLED[name], seconds[name]) for name in PARTS]
    return [(name, f"{one:.2f}", f"{100 * one / whole:.1f} %") for name, one in [*rows, ("all together", whole)]]
