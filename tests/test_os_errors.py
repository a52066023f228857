import errno

import pytest

from gradscape._os_errors import describe_os_error


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "make room"),
        (errno.EROFS, "a place that can be written"),
        (errno.EACCES, "umask"),
        (errno.ENAMETOOLONG, "a shorter name"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EFBIG, "ulimit -f"),
        (errno.ESTALE, "mounted"),
    ],
)
def test_what_the_system_refuses_is_said_with_place_and_remedy(number: int, remedy: str) -> None:
    said = describe_os_error(OSError(number, "whatever a library says", "out/a.h5"))
    assert said.startswith("out/a.h5: ")
    assert "whatever" not in said
    assert remedy in said


def test_a_message_of_its_own_stays() -> None:
    assert describe_os_error(FileNotFoundError("there is no file a")) == "there is no file a"
    assert describe_os_error(OSError(errno.EBADF, "x")) == "Bad file descriptor"
