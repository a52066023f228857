"""The commands, and how mistakes end."""

import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

from gradscape._idle_threads import let_idle_threads_sleep
from gradscape._os_errors import describe_os_error
from gradscape.cli import (
    animate,
    attention,
    cam,
    compare,
    convert,
    curvature,
    decision,
    demo,
    evaluate,
    figure,
    fusion,
    imports,
    landscape,
    line,
    models,
    plot,
    report,
    sharpness,
    table,
    topology,
    train,
    tsne,
)
from gradscape.cli.console import errors, say, widen_narrow
from gradscape.cli.examples import EXAMPLES
from gradscape.cli.messages import Lines, readable, shorten_cache_warning
from gradscape.cli.mistakes import Command
from gradscape.cli.stops import STOPS
from gradscape.cli.streams import with_safe_streams

__all__ = ["USER_MISTAKE", "app", "main", "root"]

USER_MISTAKE = 2

app = typer.Typer(
    name="gradscape",
    help="The terrain a trained image classifier lies in, and what it looks at.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo,
    "models": models.models,
    "train": train.train,
    "import": imports.import_,
    "evaluate": evaluate.evaluate,
    "landscape": landscape.landscape,
    "line": line.line,
    "animate": animate.animate,
    "curvature": curvature.curvature,
    "plot": plot.plot,
    "sharpness": sharpness.sharpness,
    "compare": compare.compare,
    "topology": topology.topology,
    "cam": cam.cam,
    "attention": attention.attention,
    "fusion": fusion.fusion,
    "tsne": tsne.tsne,
    "decision": decision.decision,
    "figure": figure.figure,
    "table": table.table,
    "report": report.report,
    "convert": convert.convert,
}
for _name, _command in _COMMANDS.items():
    _examples = "\n\n".join(["Examples:", *EXAMPLES[_name]])  # a blank line is a line break there
    app.command(_name, cls=Command, epilog=_examples)(_command)


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


@with_safe_streams
def main() -> None:
    """Run a command; a user's mistake is one line on stderr and exit code 2. `gradscape.cli.program` says of Ctrl-C."""
    let_idle_threads_sleep()  # before any command loads torch
    _log_readably()
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of a picture's size and remarks; what cannot be read is told
    widen_narrow()
    try:
        os.getcwd()  # of a folder that was removed libraries say other things, or crash
    except FileNotFoundError:
        sys.exit(_tell("the current folder was removed: change to one that is there"))
    try:
        code = app(standalone_mode=False)  # Ctrl-C comes back as 130
    except typer.TyperException as mistake:
        code = _tell(mistake.format_message())
    except OSError as mistake:
        code = _tell(describe_os_error(mistake))
    except MemoryError:
        code = _tell(
            "the memory does not suffice: take fewer images or points, smaller batches or images, or `ulimit -v`"
        )
    sys.exit(code or 0)


def _log_readably() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("matplotlib").addFilter(shorten_cache_warning)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # of what cannot be read one line is told, which is ours


def _tell(mistake: str) -> int:
    if STOPS.received is not None:  # what a stop hits may call it anything, and its own line says enough
        return USER_MISTAKE
    errors.print(f"gradscape: {readable(mistake)}", markup=False, highlight=False, soft_wrap=True)
    logging.getLogger(__name__).debug("traceback", exc_info=True)
    return USER_MISTAKE
