"""Every kind of input: what it is called, and how one is made of a seed and a number."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple, final

from tests.fuzz import typed
from tests.fuzz.attempt import Input
from tests.fuzz.checkpoint_files import checkpoint_files, foreign_files
from tests.fuzz.folders import damaged_folder
from tests.fuzz.landscape_files import direction_files, line_files, surface_files
from tests.fuzz.originals import Original, damaged
from tests.fuzz.picture_files import damaged_labels, image_files
from tests.fuzz.result_files import data_files, result_files, search_files, table_files

__all__ = ["KINDS", "Kinds"]

Make = Callable[[Random, Path], Input]


class _Kind(NamedTuple):
    """How often it is drawn, and of which files it is made, or which function makes it."""

    weight: int
    files: Callable[[Path], list[Original]] | None = None
    make: Callable[[Path, Random, Path], Input] | None = None


KINDS: dict[str, _Kind] = {
    "surfaces": _Kind(40, surface_files),
    "lines": _Kind(16, line_files),
    "directions": _Kind(12, direction_files),
    "checkpoints": _Kind(20, checkpoint_files),
    "foreign checkpoints": _Kind(20, foreign_files),
    "results": _Kind(28, result_files),
    "data": _Kind(12, data_files),
    "tables": _Kind(10, table_files),
    "searches": _Kind(8, search_files),
    "images": _Kind(16, image_files),
    "labels": _Kind(3, make=damaged_labels),
    "model names": _Kind(8, make=typed.damaged_model_name),
    "data names": _Kind(8, make=typed.damaged_data_name),
    "grids": _Kind(8, make=typed.damaged_grid),
    "numbers": _Kind(6, make=typed.damaged_number),
    "options": _Kind(1, make=typed.damaged_option),
    "folders": _Kind(2),
}


@final
class Kinds:
    """All kinds, with the files that are damaged.

    Args:
        folder: Where the valid files are written, once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {name: kind.files(self._own(name)) for name, kind in KINDS.items() if kind.files}
        for originals in self._files.values():
            for original in originals:
                original.numbers  # noqa: B018  # read once, before processes are forked

    @property
    def originals(self) -> list[Original]:
        """Every valid file."""
        return [one for some in self._files.values() for one in some]

    def make(self, seed: int, number: int, place: Path, *, kind: str | None = None) -> tuple[str, Input]:
        """Make one input, always the same of a seed and a number.

        Args:
            seed: Of a campaign.
            number: Of the input.
            place: An empty folder for its files.
            kind: Its kind; drawn where it is left out.

        Returns:
            The kind, and the input.
        """
        random = Random(f"{seed}:{number}")
        drawn = random.choices(list(KINDS), [one.weight for one in KINDS.values()])[0]
        name = kind or drawn
        return name, self._maker(name)(random, place)

    def original(self, kind: str, name: str) -> Original:
        """A valid file by its kind and name."""
        return next(one for one in self._files[kind] if one.path.name == name)

    def _maker(self, name: str) -> Make:
        if name in self._files:
            return partial(damaged, self._files[name])
        make = KINDS[name].make
        return partial(damaged_folder, self.originals) if make is None else partial(make, self._own("shared"))

    def _own(self, name: str) -> Path:
        folder = self._folder / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
