import re
import shlex
from typing import get_args

import pytest
import typer

from gradscape.cli.app import app
from gradscape.cli.examples import EXAMPLES
from gradscape.data.archives import ARCHIVES
from gradscape.explain.cam import list_methods
from gradscape.landscape.directions import Normalize
from gradscape.landscape.metrics.measure import METRICS
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


def test_help_lists_the_choices() -> None:
    told = {
        (name, option.name): option.help or ""
        for name, command in _COMMANDS.items()
        for option in command.params
        if hasattr(option, "help")
    }
    assert not [where for where, text in told.items() if "…" in text]
    for (name, option), choices in {
        ("cam", "method"): list_methods(),
        ("compare", "metric"): METRICS,
        ("landscape", "data"): ["digits", *ARCHIVES, "folder", "npz", "noise"],
        ("line", "normalize"): get_args(Normalize),
    }.items():
        assert set(choices) <= set(re.findall(r"[\w+]+", told[name, option])), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_ends_with_them(gradscape: Command, name: str) -> None:
    done = gradscape(name, "--help")
    shown = " ".join(done.out.partition("Examples:")[2].split())
    assert shown == " ".join(EXAMPLES[name])
