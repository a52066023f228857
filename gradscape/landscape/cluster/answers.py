"""What worker processes send back, and what it has to be before it counts."""

import hashlib
import math
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import final

import numpy as np
from ray import cloudpickle

from gradscape.landscape.engine import Job, Judgment

__all__ = ["Answer", "Refusal", "UnusableReplyError", "check_joined", "checked_answer", "question_digest"]

_SAID_LETTERS = 300


@final
class UnusableReplyError(Exception):
    """What a worker sent cannot be what it was asked for; the message goes on from "because"."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The results of a lease.

    Attributes:
        losses: Of its jobs one after the other, of each its points, of each its images.
        right: Likewise; None without a metric.
        seconds: How long it took.
        question: `question_digest` of what was done, as the worker has it.
        digest: Name for the bits of the arrays, when they were found.
    """

    losses: np.ndarray
    right: np.ndarray | None
    seconds: float
    question: str
    digest: str

    @classmethod
    def of(cls, losses: np.ndarray, right: np.ndarray | None, *, seconds: float, question: str) -> "Answer":
        """Results that were just found."""
        return cls(losses, right, seconds, question, _digest(losses, right))

    def part(self, images: slice) -> Judgment:
        """Those of one point."""
        return Judgment(self.losses[images], None if self.right is None else self.right[images])


@dataclass(frozen=True, eq=False)
class Refusal:
    """An exception on its way to the caller: what Ray would raise itself is of another type.

    Attributes:
        exception: Pickled.
        said: Its name and message, should there be no such exception where it arrives.
    """

    exception: bytes
    said: str

    @classmethod
    def of(cls, problem: Exception) -> "Refusal":
        """Pack an exception, or at least its name and message, with the trace of where it was raised."""
        trace = "".join(traceback.format_exception(problem))
        said = f"{type(problem).__name__}: {problem}"
        try:
            packed = cloudpickle.dumps(problem)
            cloudpickle.loads(packed)  # some exceptions can be packed but not made again from their arguments
        except Exception:  # whatever the pickling of a user's exception raises
            problem = RuntimeError(said)
        problem.add_note(f"It was raised in a worker process:\n{trace}")
        return cls(cloudpickle.dumps(problem), said)

    def problem(self) -> Exception:
        """The exception.

        Raises:
            UnusableReplyError: It is none, or cannot be made again here.
        """
        try:
            problem = cloudpickle.loads(self.exception)
        except Exception as trouble:  # whatever the unpickling of a stranger's exception raises
            said = " ".join(str(vars(self).get("said", "of another version of gradscape")).split())
            raise UnusableReplyError(f"it raised what cannot be read here ({said:.{_SAID_LETTERS}})") from trouble
        if not isinstance(problem, Exception):
            raise UnusableReplyError(f"it raised {_kind(problem)}, which is no exception")
        return problem


def question_digest(work: str, images: str, jobs: Sequence[Job]) -> str:
    """Name for what a lease asks: other points, images, directions, networks or plans have another one.

    Args:
        work: Digest of the parcel.
        images: Digest of the round's batches.
        jobs: What is done about them.
    """
    asked = [(tuple(job.points), tuple(job.batches)) for job in jobs]
    return hashlib.sha256(f"{work} {images} {asked}".encode()).hexdigest()[:16]


def check_joined(reply: object, work: str) -> None:
    """Refuse a worker that is ready for something else.

    Args:
        reply: What it sent: the digest of the parcel that it has unpacked.
        work: Digest of the parcel as it was sent.

    Raises:
        UnusableReplyError: It has something else, or sent something else.
    """
    if type(reply) is not str:
        raise UnusableReplyError(f"it joined with {_kind(reply)}, which is no digest")
    if reply != work:
        raise UnusableReplyError("the network, the directions or the plan that reached it are not those that were sent")


def checked_answer(reply: object, *, question: str, images: int, judged: bool) -> Answer:
    """An answer that can be one to what was asked.

    Args:
        reply: What a worker sent.
        question: `question_digest` of what it was asked.
        images: Images times points.
        judged: Whether there is a metric.

    Raises:
        UnusableReplyError: It cannot be one.
    """
    if type(reply) is not Answer:
        raise UnusableReplyError(f"it gave {_kind(reply)}, which is no result")
    # Unpickling fills in whatever was packed, also what a class of another version had.
    if set(vars(reply)) != {field.name for field in fields(Answer)}:
        raise UnusableReplyError("its results have the form of another version of gradscape")
    if type(reply.question) is not str or reply.question != question:
        raise UnusableReplyError("its results are of other points, images or another network than it was asked for")
    _check_values("losses", reply.losses, images)
    if judged:
        _check_values("right answers", reply.right, images)
    elif reply.right is not None:
        raise UnusableReplyError("it gave right answers, though there is no metric")
    if type(reply.seconds) is not float or not (math.isfinite(reply.seconds) and reply.seconds >= 0):
        raise UnusableReplyError(f"it worked for {reply.seconds!r:.40} s")
    if reply.digest != _digest(reply.losses, reply.right):
        raise UnusableReplyError("its results were damaged on their way")
    if reply.right is not None and not ((reply.right >= 0) & (reply.right <= 1)).all():
        raise UnusableReplyError("its right answers are not from 0 to 1 for each image")
    return reply


def _check_values(name: str, values: object, images: int) -> None:
    if type(values) is not np.ndarray:
        raise UnusableReplyError(f"its {name} are {_kind(values)}, not an array")
    if (values.dtype, values.shape) != (np.float64, (images,)):
        raise UnusableReplyError(
            f"its {name} are {values.dtype!s:.40} {values.shape!s:.40}, not float64 {(images,)}: one for each image"
        )


def _digest(losses: np.ndarray, right: np.ndarray | None) -> str:
    sha = hashlib.sha256()
    for values in (losses, right):
        sha.update(b"none" if values is None else np.ascontiguousarray(values).data)
    return sha.hexdigest()[:16]


def _kind(value: object) -> str:
    return f"an object of the type {type(value).__name__:.40}"
