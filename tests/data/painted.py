"""Image files of one color, so that a test sees which one it got."""

from pathlib import Path

from PIL import Image

__all__ = ["paint"]


def paint(file: Path, red: int, size: tuple[int, int]) -> None:
    """Write a lossless image, whatever its file is called."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (red, 0, 0)).save(file, format="PNG")
