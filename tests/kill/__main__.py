"""The campaign: `make kill N=1000` makes so many kills more, and adds them to tests/kill/table.csv."""

import argparse
import logging
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from tests.kill.chains import Whole, break_chain, run_whole
from tests.kill.jobs import JOBS
from tests.kill.processes import Processes
from tests.kill.table import Table

_CHAIN = 5

_log = logging.getLogger(__name__)


def main() -> int:
    """Kill, tell what was wrong, and keep the account; the exit code is 1 if something was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kills", type=int)
    parser.add_argument("--only", action="append", choices=list(JOBS), help="May be repeated; else every command.")
    asked = parser.parse_args()
    wholes, done, wrong = dict[str, Whole](), 0, 0
    root = Path(tempfile.mkdtemp(prefix="gradscape-kill-"))
    with Processes() as processes:
        for name in cycle(asked.only or JOBS):
            if done >= asked.kills:
                break
            if name not in wholes:
                wholes[name] = run_whole(processes, name, root / name / "whole")
            seed = f"{name} {Table.load().kills(name)}"
            links = list(break_chain(processes, name, wholes[name], root / name / seed, seed=seed, kills=_CHAIN))
            table = Table.load()  # anew: another campaign may have added to it
            table.add(name, links)
            table.save()
            done += sum(not link.late for link in links)
            for finding in [finding for link in links for finding in link.findings]:
                wrong += 1
                _log.warning("%s: %s", seed, finding)
            _log.warning("%d of %d kills, %d findings; the last were of %s", done, asked.kills, wrong, name)
    if wrong:
        _log.warning("what was found lies in %s", root)
    return 1 if wrong else 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    sys.exit(main())
