"""Pictures on the command line: as many paths after one `--images` as a shell makes of `*.jpg`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Images", "Paths", "split_one", "split_paths"]

Paths = Annotated[
    list[Path], typer.Argument(metavar="CKPT...", help="A .safetensors checkpoint; any other path is an image.")
]
Images = Annotated[
    list[Path], typer.Option("--images", metavar="PATH...", help="Image files and folders of them.", show_default=False)
]


def split_paths(paths: Sequence[Path], images: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Tell checkpoints, which end in .safetensors, from the images that follow the first one after `--images`.

    Args:
        paths: What came without an option.
        images: What came behind `--images`.

    Returns:
        Checkpoints and images.

    Raises:
        ValueError: There is no checkpoint.
    """
    checkpoints = [path for path in paths if path.suffix == ".safetensors"]
    if not checkpoints:
        got = ", ".join(map(str, paths)) or "none"
        raise ValueError(f"`CKPT` must be a .safetensors checkpoint (gradscape import makes one), got {got}")
    return checkpoints, [*images, *(path for path in paths if path.suffix != ".safetensors")]


def split_one(paths: Sequence[Path], images: Sequence[Path]) -> tuple[Path, list[Path]]:
    """The same for commands that take one checkpoint.

    Raises:
        ValueError: There is no checkpoint, or more than one.
    """
    checkpoints, files = split_paths(paths, images)
    if len(checkpoints) > 1:
        raise ValueError(f"`CKPT` must be one checkpoint, got {len(checkpoints)}: take them one by one")
    return checkpoints[0], files
