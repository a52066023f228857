"""What a user did wrong, in the words of the command line."""

import re
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, final

import typer
from typer.core import TyperArgument, TyperCommand

from gradscape.cli.claims import claimed, claimed_place

__all__ = ["Command", "name_options"]

# What the library calls an argument, and what commands call it where they have other words.
_OTHER_WORDS = {
    "batches": ("data",),
    "early_stopping_patience": ("early_stopping",),
    "measured": ("faithfulness",),
    "methods": ("method",),
    "metrics": ("metric",),
    "model": ("checkpoint", "checkpoints", "models", "paths"),
    "models": ("checkpoints",),
    "name": ("data",),
    "started_from": ("backbone",),
    "target_layer": ("layer",),
}
_NAMED = re.compile(r"`(\w+)(?:=['\"]?([^`'\"]*)['\"]?)?`")


@final
class Command(TyperCommand):
    """A command whose mistakes are told by the names of its options."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, which alone writes to its output.

        Args:
            ctx: What Typer has read.

        Raises:
            TyperException: What the library refused, in this command's words; or another process writes to the output.
        """
        place = claimed_place(self.name or "", ctx.params)
        try:
            with claimed(place) if place else nullcontext():
                return super().invoke(ctx)
        except (typer.Exit, typer.Abort):  # which are RuntimeErrors
            raise
        except (ValueError, TypeError, RuntimeError, ImportError) as mistake:
            raise typer.TyperException(name_options(str(mistake), self.params)) from mistake


def name_options(message: str, parameters: Iterable[Any]) -> str:
    """Replace arguments that a message names in backticks by options: `class_index` by `--class`.

    Args:
        message: What the library says.
        parameters: Options and arguments of the command.

    Returns:
        The message; what is no argument of the command, such as `model.head`, stays as it is.
    """
    known = {parameter.name: _spelled(parameter) for parameter in parameters}

    def replaced(named: re.Match[str]) -> str:
        word, value = named.groups()
        option = next((known[other] for other in (word, *_OTHER_WORDS.get(word, ())) if other in known), None)
        if option is None:
            return named.group()
        return f"`{option}`" if value is None else f"`{option} {value}`"

    return _NAMED.sub(replaced, message)


def _spelled(parameter: Any) -> str:
    if isinstance(parameter, TyperArgument):
        return str(parameter.metavar or parameter.name.upper()).strip("[].")  # [CKPT2] or CKPT...
    return max(parameter.opts, key=len)
