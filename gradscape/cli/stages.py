"""What a long command says while it goes from stage to stage."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, final

from gradscape.cli.console import progress_bar, say, waiting

if TYPE_CHECKING:
    from gradscape.landscape import Progress

__all__ = ["Stages", "told_stages"]

_RESUMED = 0.1  # a stage that took less of its usual time found its work done


@final
class Stages:
    """Says which stage begins, how long all that is left will take, and what there is to look at.

    Args:
        usual: Every stage in order -> its usual time in seconds.
        quiet: Whether to say nothing.
        open_things: Where signs of life are kept open until the next stage.
    """

    def __init__(self, usual: Mapping[str, float], *, quiet: bool, open_things: ExitStack) -> None:
        self._usual, self._quiet, self._open = usual, quiet, open_things
        self._begun: list[tuple[str, float]] = []
        self._bar = False

    def begin(self, stage: str) -> None:
        """Say that a stage begins."""
        self._rest()
        self._begun.append((stage, time.monotonic()))
        number, left = list(self._usual).index(stage) + 1, self.seconds_left()
        if not self._quiet:
            say(f"[{number}/{len(self._usual)}] {stage} (about {_spelled(left)} left)")
        self._open.enter_context(waiting(stage, quiet=self._quiet))

    def report(self, job: str, progress: "Progress") -> None:
        """Show how far an evaluation is, in the place of other signs of life."""
        if not self._bar:
            self._rest()
            self._report, self._bar = self._open.enter_context(progress_bar(quiet=self._quiet)), True
        self._report(job, progress)

    def show(self, path: Path) -> None:
        """Say that there is something to look at."""
        if not self._quiet:
            say(f"      look at {path}")

    def seconds_left(self) -> float:
        """How long the stage that has just begun and those after it will take, at the pace of those before."""
        moments = [moment for _, moment in self._begun]
        took = {stage: end - start for (stage, start), end in zip(self._begun, moments[1:], strict=False)}
        worked = {stage: seconds for stage, seconds in took.items() if seconds > _RESUMED * self._usual[stage]}
        pace = sum(worked.values()) / sum(self._usual[stage] for stage in worked) if worked else 1.0
        return pace * sum(seconds for stage, seconds in self._usual.items() if stage not in took)

    def _rest(self) -> None:
        self._open.close()
        self._bar = False


@contextmanager
def told_stages(usual: Mapping[str, float], *, quiet: bool) -> Iterator[Stages]:
    """Stages of a command, whose signs of life end with it.

    Args:
        usual: Every stage in order -> its usual time in seconds.
        quiet: Whether to say nothing.
    """
    with ExitStack() as open_things:
        yield Stages(usual, quiet=quiet, open_things=open_things)


def _spelled(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(10, round(seconds, -1)):.0f} s"
