"""The command line: one file a command, thin; heavy imports inside the commands."""

from gradscape.cli.program import main

__all__ = ["main"]
