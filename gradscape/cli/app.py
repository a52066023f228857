"""The program: commands, and how mistakes and Ctrl-C end."""

import logging
import os
import sys
from typing import Annotated

import typer

from gradscape._idle_threads import let_idle_threads_sleep
from gradscape.cli import (
    attention,
    cam,
    compare,
    convert,
    demo,
    figure,
    fusion,
    imports,
    landscape,
    line,
    models,
    plot,
    report,
    train,
    tsne,
)
from gradscape.cli.console import errors, say

__all__ = ["INTERRUPTED", "USER_MISTAKE", "app", "main", "root"]

USER_MISTAKE = 2
INTERRUPTED = 130
_GO_ON = {"demo", "train", "landscape", "line"}  # the commands that resume

app = typer.Typer(
    name="gradscape",
    help="The terrain a trained image classifier lies in, and what it looks at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("models")(models.models)
app.command("train")(train.train)
app.command("import")(imports.import_)
app.command("landscape")(landscape.landscape)
app.command("line")(line.line)
app.command("plot")(plot.plot)
app.command("compare")(compare.compare)
app.command("cam")(cam.cam)
app.command("attention")(attention.attention)
app.command("fusion")(fusion.fusion)
app.command("tsne")(tsne.tsne)
app.command("figure")(figure.figure)
app.command("report")(report.report)
app.command("convert")(convert.convert)


def _print_version(*, wanted: bool) -> bool:
    if wanted:
        from gradscape import __version__

        say(f"gradscape {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """The terrain a trained image classifier lies in, and what it looks at."""


def main() -> None:
    """Run a command. A user's mistake is one line on stderr and exit code 2; Ctrl-C is exit code 130."""
    let_idle_threads_sleep()  # before any command loads torch
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    try:
        code = app(standalone_mode=False)  # Ctrl-C comes back as 130
    except typer.TyperException as mistake:
        code = _tell(mistake.format_message())
    except OSError as mistake:
        parts = (mistake.filename, os.strerror(mistake.errno)) if mistake.errno else (mistake,)
        code = _tell(": ".join(str(part) for part in parts if part))
    except (ValueError, TypeError, RuntimeError, ImportError) as mistake:
        code = _tell(str(mistake))
    if code == INTERRUPTED:
        goes_on = not _GO_ON.isdisjoint(sys.argv[1:])
        saved = "; what was computed is saved, the same command goes on from there" if goes_on else ""
        errors.print(f"gradscape: stopped{saved}", soft_wrap=True)
    sys.exit(code or 0)


def _tell(mistake: str) -> int:
    errors.print(f"gradscape: {' '.join(mistake.split())}", markup=False, highlight=False, soft_wrap=True)
    logging.getLogger(__name__).debug("traceback", exc_info=True)
    return USER_MISTAKE
