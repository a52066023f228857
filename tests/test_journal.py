"""What is undone, and by whom."""

import gc
import signal

import pytest

from gradscape._journal import Journal, journaling, undone


def test_what_a_block_changes_is_undone_once_at_its_end() -> None:
    journal, done = Journal(), []
    with journaling(journal), undone(lambda: done.append(1)):
        assert journal.entries
    assert done == [1]
    assert not journal.entries


def test_what_is_cut_off_is_undone_by_the_call_and_not_again_with_the_traceback() -> None:
    journal, done = Journal(), []
    with journaling(journal):
        block = undone(lambda: done.append("block"))
        block.__enter__()  # and its end is never reached
    journal.roll_back(KeyboardInterrupt(), last=[lambda: done.append("call")])
    assert done == ["block", "call"]
    del block
    gc.collect()
    assert done == ["block", "call"]


def test_the_newest_is_undone_first_and_a_failure_stops_no_other() -> None:
    def fail() -> None:
        raise RuntimeError("merged for good")

    journal, done, problem = Journal(), [], KeyboardInterrupt()
    with journaling(journal):
        blocks = [undone(lambda: done.append("old")), undone(fail), undone(lambda: done.append("new"))]
        for block in blocks:
            block.__enter__()
    journal.roll_back(problem, last=[])
    assert done == ["new", "old"]
    assert problem.__notes__ == ["not everything could be put back: RuntimeError: merged for good"]


def test_ctrl_c_waits_until_all_is_undone_however_often_it_is_pressed() -> None:
    done = []

    def undo() -> None:
        for step in range(3):
            signal.raise_signal(signal.SIGINT)
            done.append(step)

    with pytest.raises(KeyboardInterrupt), undone(undo):
        pass
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_undoing_that_was_cut_off_is_done_again() -> None:
    journal, tries = Journal(), []

    def undo() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as cut, journaling(journal), undone(undo):
        pass
    journal.roll_back(cut.value, last=[])
    assert len(tries) == 2


def test_what_was_cut_off_within_a_block_is_undone_before_the_block_itself() -> None:
    journal, done, ended = Journal(), list[str](), [False]

    def cut_off_once() -> None:
        if not ended[0]:
            ended[0] = True
            raise KeyboardInterrupt
        done.append("within")

    blocks = (undone(lambda: done.append("around")), undone(cut_off_once))
    with journaling(journal), pytest.raises(KeyboardInterrupt), blocks[0], blocks[1]:
        pass
    journal.roll_back(KeyboardInterrupt(), last=[])
    # The other way round the block's own state would be overwritten with what was there later.
    assert done == ["within", "around"]
