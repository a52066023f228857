"""Every number that any command takes: what makes no sense is refused by name, before any work."""

from typing import Any

import pytest
import typer

from gradscape.cli.app import app
from gradscape.cli.grids import parse_grid, parse_line_grid, parse_span
from gradscape.cli.imports import parse_channels
from gradscape.cli.messages import readable
from tests.cli.conftest import Command

_COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
_ANY_SIGN = {"zmin", "zmax"}
_NONE_WILL_DO = {
    "seed",
    "workers",
    "learning_rate",
    "bottom",
    "detection",
    "margin",
    "plane",
    *_ANY_SIGN,
}  # at no rate a network stays as it is initialized
_NO_NUMBERS = ("nan", "inf", "-inf", "1e400", "", "five", "1,5", "0x10", "9" * 5000)


def _numbers() -> list[Any]:
    return [
        pytest.param(name, parameter, id=f"{name} --{parameter.name}")
        for name, command in _COMMANDS.items()
        for parameter in command.params
        if parameter.type_descriptor.annotation in (int, float)
    ]


def _refused(command: str, option: str, value: str) -> str:
    """What is said of a value; "" where it is taken."""
    try:
        _COMMANDS[command].make_context(command, [f"{option}={value}"])
    except typer.TyperException as mistake:
        said = readable(mistake.format_message())
        return said if option in said else ""  # arguments are missing too
    return ""


@pytest.mark.parametrize(("command", "parameter"), _numbers())
@pytest.mark.usefixtures("here")
def test_every_number_has_bounds(command: str, parameter: Any) -> None:
    whole = parameter.type_descriptor.annotation is int
    values = [*_NO_NUMBERS, *(["9223372036854775808", "-9223372036854775809", "1.5"] if whole else [])]
    values += ["-1"] if parameter.name not in _ANY_SIGN else []
    values += ["0"] if parameter.name not in _NONE_WILL_DO else []
    option = max(parameter.opts, key=len)
    for value in values:
        said = _refused(command, option, value)
        assert said, f"{option} {value[:40]} is taken"
        assert len(said) < 1000
    assert (
        not _refused(command, option, "1" if parameter.min in (None, 0, 1) else "2") or parameter.name == "confidence"
    )


@pytest.fixture
def here(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which outputs are tried."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "::", "0:1", "0:1:0", "0:1:-3", "0:1:2.5", "0:nan:3", "0:1e400:3", "-1e308:1e308:3", "0:1:1e3",
        "0:1:9223372036854775808", f"0:1:{'9' * 5000}", "0:1:100001",
    ],
)  # fmt: skip
def test_a_grid_that_is_none_is_refused_before_memory_is_taken(text: str) -> None:
    with pytest.raises(ValueError, match="`--grid` must"):
        parse_line_grid(text)
    for both in (f"{text},0:1:2", f"0:1:2,{text}"):
        with pytest.raises(ValueError, match="`--grid` must"):
            parse_grid(both)


def test_a_grid_of_one_point_and_one_that_falls_are_grids() -> None:
    alphas, betas = parse_grid("0:0:1,1:-1:3")
    assert (alphas.tolist(), betas.tolist()) == ([0.0], [1.0, 0.0, -1.0])


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "1e400", "wide", "9" * 5000])
def test_a_span_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="`--span` must"):
        parse_span(text)


@pytest.mark.parametrize(
    "text", ["", ",", "nan", "inf", "1e400", "1e999999999", "1/1e999999999", "1/0", "1/2/3", "9" * 5000, "1_0", "1/-"]
)
def test_channels_that_are_none_are_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="`--mean` must"):
        parse_channels(text, "--mean")


def test_channels_may_be_fractions_and_powers() -> None:
    assert parse_channels(" 125.3/255, .5,1e-2", "--mean") == pytest.approx([125.3 / 255, 0.5, 0.01])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--levels", "0"), ("--levels", "9" * 5000), ("--levels", "1,nan"), ("--levels", ""), ("--camera", "1"),
        ("--camera", "nan,0"), ("--camera", "0,1e400"), ("--width", "inf"), ("--width", "-85"), ("--width", ""),
        ("--zmin", "1e400"),
    ],
)  # fmt: skip
def test_what_a_picture_cannot_have_is_refused_before_files_are_read(
    gradscape: Command, option: str, value: str
) -> None:
    done = gradscape("plot", "none.h5", option, value)
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert option in done.err
    assert len(done.err) < 1000


@pytest.mark.usefixtures("here")
def test_an_empty_grid_is_not_the_usual_one(gradscape: Command) -> None:
    for command in ("landscape", "line"):
        done = gradscape(command, "none.safetensors", "--data", "digits", "--grid", "", "-o", "out")
        assert (done.code, done.err.count("\n")) == (2, 1), done.err
        assert "`--grid` must read" in done.err
