"""Every moment of a run belongs to one part, told by a clock that the tests set."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradscape._profile import PARTS, Part, Profile, profiling, spent_on, spent_on_each


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, moment: float = 0.0) -> None:
        self.moment = moment

    def __call__(self) -> float:
        return self.moment

    def wait(self, seconds: float) -> None:
        self.moment += seconds


def told(profile: Profile) -> dict[Part, float]:
    return {name: seconds for name, seconds in profile.seconds().items() if seconds}


def test_time_before_the_first_part_is_the_start_and_after_it_the_rest() -> None:
    clock = FakeClock(10.0)
    with profiling(Profile(began=7.0, clock=clock)) as profile:
        clock.wait(1)
        with spent_on("data"):
            clock.wait(20)
        clock.wait(300)
    assert told(profile) == {"starting": 4, "data": 20, "rest": 300}


def test_a_part_within_another_is_not_counted_twice() -> None:
    clock = FakeClock()
    with profiling(Profile(began=0.0, clock=clock)) as profile, spent_on("points"):
        clock.wait(1)
        with spent_on("writing"):
            clock.wait(20)
            with spent_on("drawing"):
                clock.wait(300)
            clock.wait(4000)
        clock.wait(50_000)
    assert told(profile) == {"points": 50_001, "writing": 4020, "drawing": 300}


def test_a_part_within_itself_is_counted_once() -> None:
    clock = FakeClock()
    with profiling(Profile(began=0.0, clock=clock)) as profile, spent_on("data"), spent_on("data"):
        clock.wait(5)
    assert told(profile) == {"data": 5}


@settings(deadline=None)
@given(st.recursive(st.floats(0, 1e3), lambda inner: st.lists(st.tuples(st.sampled_from(PARTS), inner), max_size=4)))
def test_the_parts_add_up_to_the_whole(tree: object) -> None:
    clock = FakeClock()

    def spend(work: object) -> None:
        if isinstance(work, float):
            clock.wait(work)
            return
        assert isinstance(work, list)
        for name, inner in work:
            clock.wait(0.5)
            with spent_on(name):
                spend(inner)

    with profiling(Profile(began=-3.0, clock=clock)) as profile:
        spend(tree)
    assert sum(profile.seconds().values()) == pytest.approx(clock.moment + 3)


def test_an_exception_ends_its_parts_and_no_others() -> None:
    clock = FakeClock()

    @spent_on("points")
    def evaluate() -> None:
        with spent_on("writing"):
            clock.wait(1)
            raise OSError("full")

    with profiling(Profile(began=0.0, clock=clock)) as profile, spent_on("planning"):
        with pytest.raises(OSError, match="full"):
            evaluate()
        clock.wait(20)
    clock.wait(300)
    assert told(profile) == {"writing": 1, "planning": 20, "rest": 300}


def test_after_an_exception_nothing_is_counted_any_more() -> None:
    clock = FakeClock()
    profile = Profile(began=0.0, clock=clock)
    with pytest.raises(ValueError, match="wrong"), profiling(profile):
        raise ValueError("wrong")
    with spent_on("drawing"):
        clock.wait(1)
    assert told(profile) == {"starting": 1}


def test_a_function_is_a_part_whenever_it_is_called() -> None:
    clock = FakeClock()

    @spent_on("drawing")
    def draw(again: int) -> str:
        clock.wait(1)
        return draw(again - 1) if again else "drawn"

    assert draw(0) == "drawn"
    with profiling(Profile(began=1.0, clock=clock)) as profile:
        assert draw(2) == "drawn"
    assert told(profile) == {"drawing": 3}


def test_between_items_time_is_not_that_of_making_them() -> None:
    clock = FakeClock()

    def made() -> Iterator[int]:
        for number in range(3):
            clock.wait(10)
            yield number
        clock.wait(7)  # before it finds that there are no more

    with profiling(Profile(began=0.0, clock=clock)) as profile:
        for _ in spent_on_each("points", made()):
            clock.wait(1)
            with spent_on("writing"):
                clock.wait(0.5)
    assert told(profile) == {"points": 37, "rest": 3, "writing": 1.5}


def test_another_thread_is_no_part_of_this_ones_time() -> None:
    clock = FakeClock()

    def elsewhere() -> None:
        with spent_on("data"):
            clock.wait(1)

    with profiling(Profile(began=0.0, clock=clock)) as profile, spent_on("points"):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert told(profile) == {"points": 1}
