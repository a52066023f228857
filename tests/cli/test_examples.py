import shlex

import pytest
import typer

from gradscape.cli.app import app
from gradscape.cli.examples import EXAMPLES
from tests.cli.conftest import Command

_COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_every_command_has_two_examples() -> None:
    assert EXAMPLES.keys() == _COMMANDS.keys()
    assert {len(examples) for examples in EXAMPLES.values()} == {2}


@pytest.mark.parametrize("example", [example for examples in EXAMPLES.values() for example in examples])
def test_examples_are_understood(example: str) -> None:
    program, name, *arguments = shlex.split(example)
    assert program == "gradscape"
    _COMMANDS[name].make_context(name, arguments)  # reads all, and refuses what it does not know


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_ends_with_them(gradscape: Command, name: str) -> None:
    done = gradscape(name, "--help")
    shown = " ".join(done.out.partition("Examples:")[2].split())
    assert shown == " ".join(EXAMPLES[name])
