"""Weights that a training keeps along its way, each as a checkpoint."""

import logging
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from torch import nn

from gradscape._schema import shown

__all__ = ["KeepEvery", "check_room", "is_kept", "kept_checkpoints", "remove_kept"]

_KEPT = "kept"

_DIGITS = {"epoch": 4, "step": 6}
_NAME = re.compile(r"(epoch|step)(\d{4,})\.safetensors")
_ASKED = re.compile(r"([1-9]\d*) ?(epochs?|steps?)?")
_LARGE = 2**30  # bytes that nobody expects a training to take

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class KeepEvery:
    """How often weights are kept.

    Attributes:
        count: After so many.
        unit: Of what.
    """

    count: int
    unit: Literal["epoch", "step"]

    @classmethod
    def read(cls, text: str) -> "KeepEvery":
        """Read `5`, `5epochs` or `50steps`.

        Raises:
            ValueError: It is none of these.
        """
        asked = _ASKED.fullmatch(text.strip())
        if asked is None:
            raise ValueError(f"`keep_every` must be a number of epochs or steps, 5 or 50steps, got {shown(text)}")
        return cls(int(asked[1]), "step" if (asked[2] or "").startswith("step") else "epoch")

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'s' if self.count > 1 else ''}"

    def file(self, folder: Path, number: int) -> Path:
        """Where the weights after so many epochs or steps are kept; its folder is made.

        Args:
            folder: Of the training.
            number: From 0, the start.
        """
        kept = folder / _KEPT
        kept.mkdir(parents=True, exist_ok=True)
        return kept / f"{self.unit}{number:0{_DIGITS[self.unit]}d}.safetensors"


def kept_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the weights that a training has kept, from its start on.

    Args:
        folder: What the training wrote, with a folder `kept` in it.

    Raises:
        FileNotFoundError: There are none.

    Example:
        >>> from pathlib import Path
        >>> Path("run/kept").mkdir(parents=True)
        >>> for number in (10, 0, 5):
        ...     Path(f"run/kept/epoch{number:04d}.safetensors").touch()
        >>> [path.name for path in kept_checkpoints("run")]
        ['epoch0000.safetensors', 'epoch0005.safetensors', 'epoch0010.safetensors']
    """
    folder = Path(folder)
    found = {path: named for path in (folder / _KEPT).glob("*.safetensors") if (named := _NAME.fullmatch(path.name))}
    if found:
        return sorted(found, key=lambda path: (found[path][1], int(found[path][2])))
    runs = sorted(path.parent.name for path in folder.glob(f"*/{_KEPT}"))
    advice = f"take one of its runs: {', '.join(runs[:5])}" if runs else "train with `--keep-every`"
    raise FileNotFoundError(f"{folder} holds no weights that a training kept along its way; {advice}")


def is_kept(path: Path) -> bool:
    """Whether a training kept a file on its way, by name and folder: nobody asked for it as a network by itself."""
    return path.parent.name == _KEPT and _NAME.fullmatch(path.name) is not None


def remove_kept(folder: Path) -> None:
    """Remove what an earlier training kept, of which no file says that it is this one's."""
    for path in (folder / _KEPT).glob("*.safetensors"):
        if _NAME.fullmatch(path.name):
            path.unlink()


def check_room(folder: Path, network: nn.Module, keep: KeepEvery, *, epochs: int, steps: int) -> None:
    """Warn of many bytes, and refuse more than there is room for.

    Args:
        folder: Of the training.
        network: What is kept.
        keep: How often.
        epochs: Of the training.
        steps: Of an epoch.

    Raises:
        ValueError: The disk has no room for them.
    """
    files = 2 + (epochs if keep.unit == "epoch" else epochs * steps) // keep.count
    size = sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
    there = sum(path.stat().st_size for path in (folder / _KEPT).glob("*.safetensors"))
    free = shutil.disk_usage(folder).free + there
    told = f"{files:,} networks of {_spelled(size)}, {_spelled(files * size)} in all"
    if files * size > free:
        raise ValueError(f"`keep_every` would keep {told}, but {folder} has room for {_spelled(free)}; keep fewer")
    if files * size > _LARGE:
        _log.warning("%s keeps %s; %s are free", folder / _KEPT, told, _spelled(free))


def _spelled(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count > 2**29 else f"{count / 2**20:.1f} MiB"
