"""The program from its first moment to its exit code, whatever ends it."""

import signal
import sys

import gradscape.cli.start  # noqa: F401  which looks at the clock, and therefore comes first
from gradscape.cli.stops import STOPS, tell_stop

__all__ = ["main"]


def main() -> None:
    """Run a command. A user's mistake is one line on stderr and exit code 2.

    Ctrl-C, SIGTERM and SIGHUP are one line, too, which says what is kept, and 128 and the signal's number.
    """
    code: object = 0
    try:
        STOPS.watch()
        try:
            from gradscape.cli.app import main as run  # not sooner: Ctrl-C may come while it loads

            run()
        finally:
            STOPS.rest()
    except SystemExit as ending:
        code = ending.code
    # A stop may come out as any exception: an import, a compiler or a library in C that is interrupted calls it so.
    except BaseException as ending:
        if STOPS.received is None and not isinstance(ending, KeyboardInterrupt):
            STOPS.leave()
            raise
        code = 128 + signal.SIGINT
    if STOPS.received is not None:
        code = 128 + STOPS.received
    if STOPS.received is not None or code == 128 + signal.SIGINT:
        tell_stop(STOPS.received, sys.argv[1:])
    STOPS.leave()
    sys.exit(code)  # type: ignore[arg-type]
