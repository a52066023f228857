"""A process that has imported everything and forks commands: real processes, without the seconds that imports take.

It reads requests as lines of JSON, and answers the process's number, then its exit status.
"""

import atexit
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

__all__ = ["serve"]

_STEPS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}  # as sys.audit calls them

_NEEDED = [
    "gradscape.cli.app",
    "gradscape.landscape.engine.graph",
    "gradscape.landscape.engine.rounds",
    "gradscape.landscape.engine.trials",
    "gradscape.studies.cam",
    "gradscape.studies.compare",
    "gradscape.studies.comparison",
    "gradscape.studies.drawing",
    "gradscape.studies.faithfulness_differences",
    "gradscape.studies.line",
    "gradscape.studies.networks",
    "gradscape.studies.papers.catalog",
    "gradscape.studies.planes",
    "gradscape.studies.report",
    "gradscape.studies.subjects",
    "gradscape.studies.training",
    "gradscape.studies.tsne",
    "lightning.pytorch",
    "plotly.graph_objects",
    "sklearn.datasets",
    "sklearn.manifold",
    "torch._dynamo",
    "torch.export",
]


def serve() -> None:
    """Fork a command for every request, until there are no more; the child returns too, and runs its command."""
    for name in _NEEDED:
        importlib.import_module(name)
    _warm_up()
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a process with threads cannot be forked")
    _say({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            return
        _say({"pid": child})
        _, status, used = os.wait4(child, 0)
        _say({"status": os.waitstatus_to_exitcode(status), "cpu": used.ru_utime + used.ru_stime})
    sys.exit()


def _warm_up() -> None:
    """What is slow the first time only: fonts, kernels, a data set."""
    from matplotlib.figure import Figure

    from gradscape.data import load_split
    from gradscape.figures.style import save_figure

    figure = Figure()
    figure.add_subplot().set_title("abc")
    figure.add_subplot(projection="3d")
    with TemporaryDirectory() as folder:
        save_figure(figure, Path(folder) / "x")
    torch.nn.Conv2d(3, 4, 3)(next(iter(load_split("digits", "train", image_size=16, limit=4)))[0])


def _say(answer: dict[str, Any]) -> None:
    os.write(1, f"{json.dumps(answer)}\n".encode())


def _become(request: dict[str, Any]) -> None:
    """The process that a shell would have started."""
    os.setsid()
    os.chdir(request["folder"])
    sys.path.insert(0, request["folder"])
    os.environ.update(request["environment"])
    for number, name in enumerate(("/dev/null", request["stdout"], request["stderr"])):
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = request["command"]
    for place, value in request["settings"].items():
        module, _, name = place.partition(":")
        setattr(importlib.import_module(module), name, value)
    _stop_in_write(request["write"], request["signal"], request["output"], Path(request["steps"]))


def _stop_in_write(wanted: int, number: int, output: str, steps: Path) -> None:
    """The process sends itself a signal at the n-th step of writing: opening, flushing, renaming, removing a file.

    Args:
        wanted: Which step, from 1; 0 for none.
        number: Of the signal.
        output: Begins the paths that count.
        steps: The file that tells in the end how many there were.
    """
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if done == wanted:
            os.kill(os.getpid(), number)

    def counted(plain: Callable[..., Any]) -> Callable[..., Any]:
        def flush(descriptor: int) -> None:
            step()
            plain(descriptor)
            step()

        return flush

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event in _STEPS and any(str(argument).startswith(output) for argument in arguments):
            step()

    sys.addaudithook(hear)
    os.fsync = counted(os.fsync)
    atexit.register(lambda: steps.write_text(str(done)))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    serve()
    from gradscape.cli import main

    main()
