"""A figure of a paper: what it shows and needs, and what comes of it; its kinds have files of their own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape.figures import Figure
from gradscape.figures.look import ANY_PICTURE

__all__ = ["Drawing", "PaperFigure"]


@final
@dataclass(frozen=True, eq=False)
class Drawing:
    """A page, and the numbers on it.

    Attributes:
        figure: The page.
        arrays: What it shows, by name.
        said: What its caption has to say besides; may be empty.
        meta: Provenance, which JSON can hold.
        written: Files that were written on the way.
    """

    figure: Figure
    arrays: Mapping[str, np.ndarray]
    said: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    written: tuple[Path, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class PaperFigure(ABC):
    """One figure of a paper; a kind's `make` draws it from what this kind takes.

    Attributes:
        title: What it shows.
        original: What the paper made it of.
    """

    title: str
    original: str

    @property
    def choices(self) -> frozenset[str]:
        """What of a `Look` changes something of it."""
        return ANY_PICTURE

    @property
    @abstractmethod
    def needs(self) -> str:
        """What must be given, in words."""

    @property
    @abstractmethod
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""
