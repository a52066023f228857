"""Surfaces one after the other on a page with a slider, to turn, read off and play."""

from collections.abc import Sequence

from gradscape._profile import spent_on
from gradscape.figures.web.pages import WebPage, render_page
from gradscape.figures.web.report_surface import plotly_script, surface_content
from gradscape.landscape import Field, Surface

__all__ = ["interactive_animation"]


@spent_on("drawing")
def interactive_animation(frames: Sequence[Surface | Field], *, titles: Sequence[str], title: str) -> WebPage:
    """Make a page that shows one of many surfaces, all on one scale, as a slider says; it works offline.

    Args:
        frames: In the order of time, each with at least 2 alphas and 2 betas.
        titles: A name for each.
        title: The page's heading.

    Returns:
        The text of an HTML file. Names are shown as they are, never as markup.

    Raises:
        ValueError: No surface, or titles of another number.
    """
    content = surface_content(frames, titles=titles)
    text = render_page(
        "animation.html",
        styles=["report/style.css", "surface.css"],
        scripts=["report/page.js", "report/downloads.js", "report/sections/landscapes.js"],
        libraries=[plotly_script()],
        content={"landscapes": {**content, "moving": True}},
        title=title,
        surfaces={**content, "panels": content["panels"][-1:]},
        names=list(titles),
    )
    return WebPage(text, title)
