"""Messages name what a user has typed."""

from typing import Annotated

import pytest
import typer

from gradscape.cli.mistakes import name_options


def _command(
    checkpoint: Annotated[str, typer.Argument(metavar="CKPT")],
    other: Annotated[str | None, typer.Argument(metavar="[CKPT2]")] = None,
    *,
    class_index: Annotated[str | None, typer.Option("--class")] = None,
    layer: str | None = None,
    output: Annotated[str, typer.Option("-o", "--output")] = "out",
    outputs: str | None = None,
    data: str = "digits",
) -> None:
    """Take a few options."""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("`class_index` must be in 0 … 9", "`--class` must be in 0 … 9"),
        ("unknown `target_layer` 'a'", "unknown `--layer` 'a'"),
        ("`output` must be new", "`--output` must be new"),
        ("unknown `name` 'digitz'", "unknown `--data` 'digitz'"),
        ("`model` must have attention", "`CKPT` must have attention"),
        ("`other` must have the tensors of `model`", "`CKPT2` must have the tensors of `CKPT`"),
        ("give `outputs='logits'`", "give `--outputs logits`"),
        ("`batches` and `score` stay", "`--data` and `score` stay"),
        ("run `gradscape import`; see `model.head`", "run `gradscape import`; see `model.head`"),
    ],
)
def test_arguments_become_options(said: str, told: str) -> None:
    app = typer.Typer()
    app.command()(_command)
    assert name_options(said, typer.main.get_command(app).params) == told
