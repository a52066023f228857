"""Valid files, and inputs made of them by damage."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import final

from tests.fuzz.attempt import Input
from tests.fuzz.bytes_damage import damage_bytes
from tests.fuzz.plain_readers import Numbers

__all__ = ["CANARY", "KEPT", "Original", "damaged"]

KEPT = Path(__file__).parents[1] / "kept"
CANARY = "canary"  # what code leaves that nobody should have run

Damage = Callable[[Path, Random, Path], str]


@final
@dataclass(frozen=True)
class Original:
    """A valid file, and how it is read.

    Attributes:
        path: The file.
        read: Gradscape's way to its numbers.
        plain: The libraries' way to the same.
        damage: Changes a copy by its structure, so that it is a file of that kind still: takes the copy, what chooses,
            and where code would leave its mark.
        sealed: Whether a checksum tells every changed byte, so that none may be read as another number.
        commands: What users do with such a file; {path} and {out} stand for the file and a place to write to.
        commanded: Share of the inputs on which one of the commands is run, as some take a second.
    """

    path: Path
    read: Callable[[Path], Numbers]
    plain: Callable[[Path], Numbers]
    damage: Damage
    sealed: bool = False
    commands: tuple[tuple[str, ...], ...] = ()
    commanded: float = 0.05

    @cached_property
    def numbers(self) -> Numbers:
        """What is read of it undamaged."""
        return self.read(self.path)


def damaged(originals: list[Original], random: Random, place: Path) -> Input:
    """One of the files, changed by its bytes or by its structure.

    Args:
        originals: Files of one kind.
        random: Chooses all.
        place: An empty folder.
    """
    original = random.choice(originals)
    path, canary = place / original.path.name, place / CANARY
    shutil.copy(original.path, path)
    by_bytes = random.random() < 0.5
    if by_bytes:
        other = random.choice(originals).path.read_bytes()
        data, how = damage_bytes(path.read_bytes(), random, other=other)
        path.write_bytes(data)
    else:
        how = original.damage(path, random, canary)
    command: tuple[str, ...] = ()
    if original.commands and random.random() < original.commanded:
        command = tuple(word.format(path=path, out=place / "out") for word in random.choice(original.commands))
    return Input(
        how=f"{original.path.name}: {how}{f' → {command[0]}' if command else ''}",
        read=partial(original.read, path),
        expected=original.numbers,
        plain=None if by_bytes and original.sealed else partial(original.plain, path),
        command=command,
        named=(path.name,),
        canary=canary,
    )
