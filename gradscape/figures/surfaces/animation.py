"""Surfaces one after the other, in one place and on one scale: gif always, mp4 where ffmpeg is there."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradscape._files import replacing, replacing_text
from gradscape._profile import spent_on
from gradscape.figures.letters import make_legible
from gradscape.figures.style import styled
from gradscape.figures.surfaces.color_bars import add_colorbar
from gradscape.figures.surfaces.layout import lay_out
from gradscape.figures.surfaces.maps import draw_filled
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.shading import Shading, shade
from gradscape.figures.surfaces.trajectories import label_networks
from gradscape.landscape import Field

__all__ = ["frame_pictures", "movie_endings", "save_movie"]

Picture = UInt8[np.ndarray, "height width 4"]

_DOTS = 180  # an inch
_A_SECOND = 4  # frames
_LAST = 6  # times the last frame is shown, before all begins again


def movie_endings() -> tuple[str, ...]:
    """What movies are written as here: gif, and mp4 where the program ffmpeg is found."""
    return ("gif", "mp4") if FFMpegWriter.isAvailable() else ("gif",)


@styled()
def save_movie(
    frames: Sequence[Field],
    stem: str | os.PathLike[str],
    *,
    titles: Sequence[str],
    scale: Scale = "auto",
    caption: str = "",
) -> list[Path]:
    """Write filled contours of fields as a movie, all on one color scale, each file atomically.

    Args:
        frames: In the order of time.
        stem: Path without the ending.
        titles: What stands above each.
        scale: As for `figure_landscape`, shared by all.
        caption: Written beside the movie as text.

    Returns:
        The files: those of `movie_endings`, then the caption where there is one.

    Raises:
        ValueError: No frame, titles of another number, or an option does not fit the values.
    """
    pictures = list(frame_pictures(frames, titles=titles, scale=scale))
    paths = []
    for ending in movie_endings():
        path = Path(f"{os.fspath(stem)}.{ending}")
        writer = PillowWriter(_A_SECOND) if ending == "gif" else FFMpegWriter(_A_SECOND)
        with replacing(path) as partial, spent_on("drawing"):
            _write(writer, pictures, partial)
        paths.append(path)
    if caption:
        path = Path(f"{os.fspath(stem)}.txt")
        with replacing_text(path) as file:
            file.write(f"{caption}\n")
        paths.append(path)
    return paths


@styled()
def frame_pictures(frames: Sequence[Field], *, titles: Sequence[str], scale: Scale = "auto") -> Iterator[Picture]:
    """Draw each frame of a movie, of one size and with even sides; arguments and errors as for `save_movie`."""
    if len(titles) != len(frames):
        raise ValueError(f"`titles` must hold one for each of the {len(frames)} frames, got {len(titles)}")
    shading = shade(frames, scale)
    for field, title in zip(frames, titles, strict=True):
        figure = _page(field, title, shading)
        figure.set_dpi(_DOTS)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        picture = np.asarray(canvas.buffer_rgba())
        height, width, _ = picture.shape
        yield picture[: height - height % 2, : width - width % 2]  # as mp4 needs


def _page(field: Field, title: str, shading: Shading) -> Figure:
    page = lay_out("filled", [field], "", columns=1, shared=True)
    (panel,) = page.panels
    mappable = draw_filled(panel, field, shading)
    panel.set_title(title, parse_math=False)
    add_colorbar(page.figure, mappable, shading, **page.bars[0])
    label_networks([panel])
    make_legible(page.figure)
    return page.figure


def _write(writer: AbstractMovieWriter, pictures: Sequence[Picture], path: Path) -> None:
    height, width, _ = pictures[0].shape
    sheet = Figure(figsize=(width / _DOTS, height / _DOTS), dpi=_DOTS)
    with writer.saving(sheet, os.fspath(path), _DOTS):
        for picture in (*pictures, *[pictures[-1]] * (_LAST - 1)):
            sheet.images.clear()
            sheet.figimage(picture)
            writer.grab_frame()
