"""Surfaces to turn, zoom and read off in a browser: one HTML text that needs no network."""

from collections.abc import Sequence

from gradscape._profile import spent_on
from gradscape.figures.look import current_look
from gradscape.figures.surfaces.fields import several, to_fields
from gradscape.figures.surfaces.scales import Scale
from gradscape.figures.surfaces.wording import result_names
from gradscape.figures.web.pages import WebPage, render_page
from gradscape.figures.web.report_surface import plotly_script, surface_content
from gradscape.landscape import Field, Surface

__all__ = ["interactive_surface"]


@spent_on("drawing")
def interactive_surface(
    surfaces: Surface | Field | Sequence[Surface | Field],
    *,
    titles: Sequence[str] | None = None,
    value: str | None = None,
    scale: Scale | None = None,
) -> WebPage:
    """Make a page of 3-D surfaces, each with its map beside it and plotly inside, which works offline.

    Switches choose loss or error (where it was measured), as it is, min-max scaled or on a log scale, on which the
    loss begins where it exceeds two decades. Several surfaces share one color scale and one range of heights.
    Hovering shows the coordinates, loss ± standard error (and whether that is reliable) and the error. Non-finite
    values are gaps. Pictures and numbers can be saved from the page. Above 13,500 points only every second (third, …)
    row and column is drawn, and the caption says so. A field is shown in the same way, by itself.

    Args:
        surfaces: One surface or field or several, each with at least 2 alphas and 2 betas.
        titles: A name for each; by default its model's.
        value: What is shown first, "loss" by default; of what is neither loss nor error the page has nothing else.
        scale: How it is shown first: "raw", "minmax" or "log".

    Returns:
        The text of an HTML file, which a notebook shows. Names and provenance are shown as they are, never as markup.

    Raises:
        ValueError: No surface, fewer than two alphas or betas, titles of another number, or a value or scale that the
            surfaces cannot be shown by.

    Example:
        >>> import torch
        >>> from gradscape.landscape import evaluate_surface, random_directions
        >>> net, batches = torch.nn.Linear(4, 3), [(torch.randn(64, 4), torch.arange(64) % 3)]
        >>> axis = [-1.0, 0.0, 1.0]
        >>> surface = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis)
        >>> page = interactive_surface(surface)
        >>> page.save("surface.html")
    """
    drawables = several(surfaces)
    firsts = to_fields(drawables, value)
    names = result_names(firsts, titles)
    for first in firsts:
        if min(len(first.alphas), len(first.betas)) < 2:
            raise ValueError(
                "`surfaces` must have at least 2 alphas and 2 betas each, got "
                f"{len(first.alphas)} and {len(first.betas)}"
            )
    content = surface_content(drawables, titles=names, value=value, scale=scale)
    title = current_look().heading or ", ".join(names)
    text = render_page(
        "surface.html",
        styles=["report/style.css", "surface.css"],
        scripts=["report/page.js", "report/downloads.js", "report/sections/landscapes.js"],
        libraries=[plotly_script()],
        content={"landscapes": content},
        title=title,
        surfaces=content,
    )
    return WebPage(text, title)
