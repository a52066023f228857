"""What figures and files call the pictures that networks were shown."""

from pathlib import Path

from gradscape._names import numbered, tell_apart
from gradscape.data import Pictures
from gradscape.studies.networks import file_name

__all__ = ["picture_stems", "titles"]


def titles(pictures: Pictures) -> list[str]:
    """What figures call the pictures: their files' names without endings."""
    return [str(Path(name).with_suffix("")) for name in pictures.names]


def picture_stems(pictures: Pictures) -> list[str]:
    """For each picture what the files about it are called, all different: its name without ending, where that does."""
    stems = [file_name(Path(name).stem) for name in pictures.names]
    return tell_apart([stems, numbered([file_name(name) for name in pictures.names])])
