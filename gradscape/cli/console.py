"""What commands print, and the process they run in."""

import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from gradscape._names import visible

if TYPE_CHECKING:
    from gradscape.landscape import Progress, Sharpness
    from gradscape.landscape.measured import Measured

__all__ = [
    "epoch_bar",
    "errors",
    "image_bar",
    "job_bar",
    "progress_bar",
    "say",
    "say_batch_norm",
    "say_precision",
    "say_stopped",
    "say_table",
    "say_written",
    "step_bar",
    "tuned_process",
    "waiting",
    "widen_narrow",
]

_NARROWEST = 40  # columns
_LEAST_FOLDED = 12  # columns of a table's text
_WIDEST = 10_000  # columns: more than any table needs

errors = Console(stderr=True, emoji=False)
_output = Console(emoji=False)


def widen_narrow() -> None:
    """Print as for 40 columns where a terminal has fewer, or `COLUMNS` says so: for a few nothing can be laid out."""
    for console in (errors, _output):
        if console.width < _NARROWEST:
            console.width = _NARROWEST
            os.environ["COLUMNS"] = str(_NARROWEST)  # of which `--help` is made


def say(text: str, *, cut: bool = False) -> None:
    """Print text for the user, as it is.

    Args:
        text: One or more lines.
        cut: Whether a terminal is to end lines where it ends; otherwise, and in files, they stay whole.
    """
    text = visible(text)
    if cut and _output.is_terminal:
        _output.print(text, markup=False, highlight=False, no_wrap=True, overflow="ellipsis")
    else:
        _output.print(text, markup=False, highlight=False, soft_wrap=True)


def say_written(paths: Iterable[Path]) -> None:
    """Print what was written."""
    for path in paths:
        say(f"wrote {path}")


def say_batch_norm(results: Iterable["Measured"]) -> None:
    """Print what became of batch norms' running statistics, where that is not the usual."""
    from gradscape.figures.surfaces.norm_wording import describe_batch_norm

    for said in filter(None, dict.fromkeys(describe_batch_norm(result.meta) for result in results)):
        say(said)


def say_precision(results: Iterable["Measured"]) -> None:
    """Print in which precision surfaces or lines were computed."""
    from gradscape.landscape.rounding import describe_precision

    for said in dict.fromkeys(describe_precision(result.meta) for result in results):
        say(f"computed in {said}")


def say_stopped(results: "Mapping[str, Measured | Sharpness]", limits: Sequence[str]) -> None:
    """Print of results that a limit ended how many images their points saw, and the command that goes on.

    Args:
        results: By the names that tell them apart.
        limits: Options that set the limits.
    """
    from gradscape.landscape.image_counts import describe_images, was_stopped

    seen = {
        name: describe_images(result.meta, used=result.meta["images"], population=result.meta["population"])
        for name, result in results.items()
        if was_stopped(result.meta)
    }
    if not seen:
        return
    counts = dict.fromkeys(seen.values())
    said = next(iter(counts)) if len(counts) == 1 else "; ".join(f"{name}: {count}" for name, count in seen.items())
    say(f"every point saw {said}, by {' and '.join(limits)}; this goes on:")
    say(f"  {shlex.join(['gradscape', *_words_without(limits, sys.argv[1:])])}")


def _words_without(options: Sequence[str], words: Sequence[str]) -> list[str]:
    """A command line without some options and their values."""
    follows = [False, *(word in options for word in words[:-1])]
    return [
        word
        for word, is_value in zip(words, follows, strict=True)
        if not is_value and word.partition("=")[0] not in options
    ]


def say_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; headings that end in a space belong to columns of numbers, and the first names the row."""
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        if heading.endswith(" "):
            table.add_column(heading.strip(), justify="right", no_wrap=True, min_width=len(heading.strip()))
        else:
            table.add_column(heading.strip(), overflow="fold", no_wrap=number == 0, min_width=_LEAST_FOLDED)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    least = Measurement.get(_output, _output.options.update(max_width=_WIDEST), table).minimum
    if least > _output.width:  # else names and numbers would be cut
        table.width = least
    _output.print(table, crop=False)


def tuned_process(device: str, *, many: bool = False) -> str:
    """Prepare the process for long evaluations; resolve the device.

    Args:
        device: "auto", or what torch takes ("cpu", "cuda", "cuda:1").
        many: Whether many processes will share the machine: each then gets a single thread, unless
            `OMP_NUM_THREADS` says otherwise.

    Raises:
        ValueError: torch cannot use that device.
    """
    import torch

    from gradscape._allocator import keep_freed_memory

    keep_freed_memory()
    if many and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise ValueError(f"`--device` {device} cannot be used here; try cpu") from problem
    return device


def waiting(text: str, *, quiet: bool) -> AbstractContextManager[object]:
    """A sign of life for what has no bar; nothing where nobody watches."""
    return errors.status(text) if errors.is_terminal and not quiet else nullcontext()


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator["Callable[[str, Progress], None]"]:
    """A bar for each job: points, points a second, time left, median standard error."""
    from rich import progress as rich_progress
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total} points"),
        TextColumn("{task.fields[rate]:.1f}/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[sureness]}"),
    )
    tasks: dict[str, rich_progress.TaskID] = {}
    bar = rich_progress.Progress(*columns, console=errors, disable=quiet)

    def report(job: str, progress: "Progress") -> None:
        bar.start()  # at the first report: a bar without jobs would leave an empty line
        if job not in tasks:
            tasks[job] = bar.add_task(visible(job), total=progress.total, rate=0.0, sureness="")
        error = progress.median_stderr
        bar.update(
            tasks[job],
            completed=progress.done,
            rate=progress.points_per_second,
            sureness=f"median standard error {error:.2g}" if math.isfinite(error) else "",
        )

    try:
        yield report
    finally:
        if tasks:
            bar.stop()


@contextmanager
def image_bar(*, quiet: bool) -> Iterator["Callable[[int, int], None]"]:
    """A bar of images that are done, of all; nothing where nobody watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("images"), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def report(done: int, images: int) -> None:
            bar.update(task, completed=done, total=images)

        yield report


@contextmanager
def epoch_bar(text: str, epochs: int, *, quiet: bool) -> Iterator["Callable[[int, float], None]"]:
    """A bar of epochs that are done, with the mean loss of the last; nothing where nobody watches.

    Args:
        text: What is going on.
        epochs: How many there will be.
        quiet: Whether to show nothing.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("epochs{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal) as bar:
        task = bar.add_task(text, total=epochs, loss="")

        def report(done: int, loss: float) -> None:
            bar.update(task, completed=done, loss=f", loss {loss:.3g}")

        yield report


@contextmanager
def job_bar(what: str, *, quiet: bool) -> Iterator["Callable[[str, int, int], None]"]:
    """A bar for each job, by its name: what is done, of all, and the time left."""
    from rich import progress as rich_progress
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(what),
        TimeRemainingColumn(),
    )
    tasks: dict[str, rich_progress.TaskID] = {}
    bar = rich_progress.Progress(*columns, console=errors, disable=quiet)

    def report(job: str, done: int, total: int) -> None:
        bar.start()  # at the first report: a bar without jobs would leave an empty line
        if job not in tasks:
            tasks[job] = bar.add_task(visible(job), total=total)
        bar.update(tasks[job], completed=done, total=total)

    try:
        yield report
    finally:
        if tasks:
            bar.stop()


@contextmanager
def step_bar(*, quiet: bool) -> Iterator["Callable[[str, int, int | None], None]"]:
    """A bar of the steps of the job at hand, of all that it may take; nothing where nobody watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=quiet or not errors.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def report(job: str, done: int, most: int | None) -> None:
            bar.update(task, description=visible(job), completed=done, total=most)

        yield report
