"""The page on which a surface is watched while it is evaluated."""

import base64
from datetime import datetime

from gradscape._profile import spent_on
from gradscape.figures.surfaces.preview import describe_progress
from gradscape.figures.web.pages import render_page
from gradscape.landscape import Surface

__all__ = ["live_page"]


@spent_on("drawing")
def live_page(surface: Surface, picture: bytes, *, title: str, running: bool) -> str:
    """Make a page of a picture and the progress in words, which works offline.

    Args:
        surface: What the picture shows.
        picture: A PNG file.
        title: The heading, shown as it is, never as markup.
        running: The page loads itself again every two seconds; else it is the last one and links to `surface.html`.

    Returns:
        The text of an HTML file.
    """
    complete = bool((surface.count > 0).all())
    return render_page(
        "live.html",
        styles=["live.css"],
        title=title,
        state="running" if running else "complete" if complete else "stopped",
        progress=describe_progress(surface),
        drawn=datetime.now().astimezone() if running else None,  # the last page of equal runs is the same to the bit
        picture=base64.b64encode(picture).decode("ascii"),
    )
