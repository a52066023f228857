"""The data set that a person named for a figure, and how much of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

__all__ = ["DataSource"]


@final
@dataclass(frozen=True, kw_only=True)
class DataSource:
    """Images of a data set.

    Attributes:
        name: As `load_split` takes it.
        split: "train" or "test"; None for what the figure takes where nothing is said.
        limit: How many images; likewise.
        root: Folder of the data sets; None for the usual.
        download: Whether a published data set may be fetched.
    """

    name: str
    split: str | None = None
    limit: int | None = None
    root: Path | None = None
    download: bool = False
