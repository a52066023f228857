"""A surface watched while it is evaluated: a picture and a page, drawn again and again."""

from dataclasses import replace
from pathlib import Path
from typing import final

from gradscape._files import replacing
from gradscape.figures.look import current_look, drawn_as
from gradscape.figures.style import picture_bytes
from gradscape.figures.surfaces.pages import figure_landscape
from gradscape.figures.surfaces.preview import figure_preview
from gradscape.figures.web.live import live_page
from gradscape.landscape import Surface

__all__ = ["LivePage"]


@final
class LivePage:
    """`live.png` and `live.html` of one surface; `show` serves as the `preview` of `evaluate_surface`.

    Both files are replaced atomically, so that a browser never finds half of one.

    Args:
        folder: Where they go, beside `surface.html`.
        title: The page's heading.
    """

    def __init__(self, folder: Path, title: str) -> None:
        self._folder, self._title = folder, title

    def show(self, surface: Surface) -> None:
        """Draw the surface so far; the page loads itself again every two seconds."""
        self._write(surface, running=True)

    def finish(self, surface: Surface) -> list[Path]:
        """Draw the last picture; the page stays as it is and links to the interactive one.

        What a run that was stopped early never evaluated is still interpolated, and called so.
        """
        return self._write(surface, running=False)

    def _write(self, surface: Surface, *, running: bool) -> list[Path]:
        last = not running and (surface.count > 0).all()
        with drawn_as(replace(current_look(), caption=True)):  # which is all that the page says of it
            picture = picture_bytes(figure_landscape(surface) if last else figure_preview(surface))
        page = live_page(surface, picture, title=self._title, running=running)
        contents = {self._folder / "live.png": picture, self._folder / "live.html": page.encode()}
        for path, content in contents.items():
            with replacing(path) as partial:
                partial.write_bytes(content)
        return list(contents)
