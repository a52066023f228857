"""Where the time of a run goes: every moment in one named part of it, and nothing is measured where nobody asks."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from typing import Final, Literal, TypeVar, final

__all__ = ["PARTS", "Part", "Profile", "profiling", "spent_on", "spent_on_each"]

Part = Literal["starting", "data", "planning", "points", "writing", "drawing", "rest"]

PARTS: Final[tuple[Part, ...]] = ("starting", "data", "planning", "points", "writing", "drawing", "rest")
"""All parts: "starting" lasts until another begins, and is slow imports later; "rest" is what belongs to none."""

Item = TypeVar("Item")


@final
class Profile:
    """How long each part took. A part within another is counted for itself and not for the outer one.

    Args:
        began: The moment on the clock at which the run began, s.
        clock: Tells the moment, s; it never goes back.

    Example:
        >>> moments = iter([2.0, 5.0, 5.5])
        >>> with profiling(Profile(began=1.0, clock=lambda: next(moments))) as profile, spent_on("points"):
        ...     pass  # forward passes
        >>> {name: seconds for name, seconds in profile.seconds().items() if seconds}
        {'starting': 1.0, 'points': 3.0, 'rest': 0.5}
    """

    def __init__(self, *, began: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._counted = clock, began
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._outermost: Part = "starting"
        self._open: list[Part] = []

    def begin(self, name: Part) -> None:
        """From now on time belongs to this part."""
        self._count()
        self._outermost = "rest"
        self._open.append(name)

    def end(self) -> None:
        """The part that began last is over; the one around it goes on."""
        self._count()
        self._open.pop()

    def seconds(self) -> dict[Part, float]:
        """By part, how long it has taken, s: all together the time since the run began."""
        self._count()
        return dict(self._seconds)

    def _count(self) -> None:
        moment = self._clock()
        self._seconds[self._open[-1] if self._open else self._outermost] += moment - self._counted
        self._counted = moment


# Of each thread its own: what other threads do goes on at the same time, and is no part of the whole.
_present: ContextVar[Profile | None] = ContextVar("profile", default=None)


@contextmanager
def profiling(profile: Profile) -> Iterator[Profile]:
    """Inside, this thread's parts are counted in a profile."""
    before = _present.set(profile)
    try:
        yield profile
    finally:
        _present.reset(before)


@final
class _CountedPart(ContextDecorator):
    """A part of the profile that there is, if there is one.

    Args:
        name: Which part.
    """

    def __init__(self, name: Part) -> None:
        self._name: Part = name

    def __enter__(self) -> None:
        if (profile := _present.get()) is not None:
            profile.begin(self._name)

    def __exit__(self, *raised: object) -> None:
        if (profile := _present.get()) is not None:
            profile.end()


def spent_on(name: Part) -> _CountedPart:
    """A part of a run, as a block or as the decorator of a function. No block may hold a `yield` of a plain generator.

    Args:
        name: Which part the time inside belongs to, but for what inner parts take.
    """
    return _CountedPart(name)


def spent_on_each(name: Part, items: Iterable[Item]) -> Iterator[Item]:
    """The same items; the time in which they are made belongs to a part, that between them does not.

    Args:
        name: Which part.
        items: Such as a generator makes.
    """
    source = iter(items)
    while True:
        with spent_on(name):
            try:
                item = next(source)
            except StopIteration:
                return
        yield item
