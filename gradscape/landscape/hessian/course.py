"""How long work on a Hessian goes: until when, whom it tells, and where its steps are kept to go on with."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
import torch

from gradscape._files import replacing
from gradscape._npz import read_npz
from gradscape.landscape.hessian.lanczos import Step, StepStore

__all__ = ["Course", "OutOfTimeError", "Report"]

Report = Callable[[str, int, int | None], object]
"""Called with the job, the steps done, and how many there are at most where that is known."""


_ENDING = ".kept"  # arrays as in `.npz`, but no results, for which whoever looks for these shall not take them


class OutOfTimeError(Exception):
    """The time is over before a result is there; what was computed is kept."""


@final
@dataclass(frozen=True)
class Course:
    """Until when work goes, whom it tells, and where it keeps what it has.

    Attributes:
        folder: Keeps arrays by name; None: nothing is kept.
        identity: What the arrays belong to: those of other images or another network are not taken.
        until: The moment on the monotonic clock at which it ends; None: when it is done.
        report: Called after every step.
    """

    folder: Path | None = None
    identity: str = ""
    until: float | None = None
    report: Report | None = field(default=None, compare=False)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.until is not None and time.monotonic() >= self.until

    def check_time(self) -> None:
        """Raise `OutOfTimeError` if the time is over."""
        if self.is_over:
            raise OutOfTimeError

    def tell(self, job: str, done: int, total: int | None) -> None:
        """Report a step."""
        if self.report is not None:
            self.report(job, done, total)

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """The arrays of a name, if they were kept and belong to this."""
        path = self._path(name)
        if path is None or not path.exists():
            return None
        try:
            arrays = read_npz(path)
        except ValueError:  # damaged: computed again
            return None
        return arrays if str(arrays.pop("identity", "")) == self.identity else None

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays under a name."""
        path = self._path(name)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as neighbor, open(neighbor, "wb") as file:
                np.savez(file, identity=np.array(self.identity), **arrays)  # type: ignore[arg-type]

    def store(self, job: str) -> StepStore | None:
        """Where the steps of an iteration are kept."""
        return None if self.folder is None else _Steps(self, job)

    def _path(self, name: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}{_ENDING}"


@final
class _Steps(StepStore):
    """The steps of one iteration, a file for each."""

    def __init__(self, course: Course, job: str) -> None:
        self._course, self._job = course, job

    def load(self, index: int) -> Step | None:
        """The step of this number, if it was kept."""
        arrays = self._course.load(self._name(index))
        if arrays is None:
            return None
        return Step(float(arrays["diagonal"]), float(arrays["next_norm"]), torch.from_numpy(arrays["following"]))

    def save(self, index: int, step: Step) -> None:
        """Keep a step."""
        numbers = {"diagonal": np.array(step.diagonal), "next_norm": np.array(step.next_norm)}
        self._course.save(self._name(index), {**numbers, "following": step.following.numpy()})

    def _name(self, index: int) -> str:
        return os.path.join(self._job, f"step{index:04d}")
