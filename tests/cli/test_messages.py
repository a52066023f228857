import logging

import pytest

from gradscape.cli.messages import Lines, readable, shorten_cache_warning
from tests.cli.conftest import Command


def test_a_long_value_is_shortened_and_what_follows_stays() -> None:
    said = readable(f"unknown `--cmap` '{'x' * 70_000}', did you mean viridis?")
    assert len(said) < 300
    assert said.startswith("unknown `--cmap` 'xxx")
    assert said.endswith("xx', did you mean viridis?")


def test_an_essay_keeps_its_beginning_and_its_end() -> None:
    said = readable("first " + "word \n" * 5000 + "do this")
    assert len(said) < 1000
    assert said.startswith("first word")
    assert said.endswith("word do this")


def test_control_characters_are_spelled() -> None:
    assert readable("no file \x1b]0;title\x07\x9b2J\u202eb.h5") == r"no file \x1b]0;title\x07\x9b2J\u202eb.h5"
    assert readable("· ± é \udcff") == r"· ± é \udcff"


def test_warnings_are_as_short() -> None:
    record = logging.LogRecord("a", logging.WARNING, "a.py", 1, "%s is\nleft out", ("y" * 9000,), None)
    assert len(Lines().format(record)) < 1000
    assert Lines().format(record).endswith(" is left out")


def test_a_home_that_cannot_be_written_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("matplotlib.of_a_test")
    log.addFilter(shorten_cache_warning)
    log.warning("mkdir -p failed for path %s: %s", "/home/x", "Read-only file system")
    log.warning("Matplotlib created a temporary cache directory at %s because there was an issue", "/tmp/matplotlib-x")
    log.warning("findfont: Font family 'x' not found")
    cache, font = caplog.messages
    assert "MPLCONFIGDIR" in cache
    assert font.startswith("findfont")


@pytest.mark.parametrize(
    "arguments",
    [
        ("z" * 9000,),
        ("models", "z" * 9000),
        ("plot", "z" * 9000),
        ("plot", "none.h5", "--kind", "z" * 9000),
        ("landscape", "a", "--data", "digits", "--steps", "9" * 9000, "-o", "x"),
        ("landscape", "a", "--data", "digits", "--grid", "0:1:" + "9" * 4000, "-o", "x"),
        ("import", "a", "--model", "resnet20", "--mean", "9," * 4000, "--std", "1", "-o", "x"),
        ("table", "z " * 4000),
    ],
)
def test_no_message_is_longer_than_a_screen(gradscape: Command, arguments: tuple[str, ...]) -> None:
    done = gradscape(*arguments)
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert len(done.err) < 1000
