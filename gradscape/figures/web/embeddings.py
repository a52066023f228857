"""Embeddings in a browser: thumbnails, classes on and off, a lasso over all panels; one HTML text, no network."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gradscape._profile import spent_on
from gradscape.explain.embedding import Embedding
from gradscape.figures.charts.embedding import describe_embeddings, embedding_titles, quality_lines, quality_table
from gradscape.figures.charts.embedding_marks import class_marks, shared_classes
from gradscape.figures.web.pages import WebPage, render_page

__all__ = ["interactive_embedding", "thumbnail_side"]

_LARGEST_THUMBNAIL = 64
_MOST_PIXELS = 5_000_000  # of all thumbnails, at least 8 × 8 each: no more than 4 MB as JPEG
_MOST_LOSSLESS = 2_000_000  # bytes, above which the thumbnails become JPEG
_STEPS = 9_999  # coordinates are whole numbers from 0 to this: finer than any screen


def thumbnail_side(count: int) -> int:
    """Largest side in pixels that so many thumbnails may have: a multiple of 8 from 8 to 64."""
    side = int((_MOST_PIXELS / max(count, 1)) ** 0.5) // 8 * 8
    return min(max(side, 8), _LARGEST_THUMBNAIL)


@spent_on("drawing")
def interactive_embedding(
    embeddings: Sequence[Embedding],
    *,
    thumbnails: UInt8[np.ndarray, "images height width 3"] | None = None,
    titles: Sequence[str] | None = None,
) -> WebPage:
    """Make a page of embeddings of the same images, a panel each, which works offline.

    Pointing at a point shows its thumbnail and class, and where the same image lies in the other panels. Buttons
    turn classes on and off; what is typed into the search shows the classes alone that have it in their names. A table
    below has the quality figures. Dragging draws a lasso; the images inside are marked in every panel, counted by class
    and shown below. Clicking picks one image.

    Args:
        embeddings: One or several, of the same images in the same order, better aligned (`align_embeddings`).
        thumbnails: The images, small; those larger than `thumbnail_side` allows are shrunk.
        titles: A name for each embedding; by default its model's.

    Returns:
        The text of an HTML file, which a notebook shows. Names and provenance are shown as they are, never as markup.

    Raises:
        ValueError: No embedding, other images, titles or thumbnails of another number, or classes that differ in
            name.
    """
    names = shared_classes(embeddings)
    headings = embedding_titles(embeddings, titles)
    labels = embeddings[0].labels
    for number, embedding in enumerate(embeddings):
        if not np.array_equal(embedding.labels, labels):
            raise ValueError(f"`embeddings` must be of the same images, but number {number} has other labels")
    if thumbnails is not None and len(thumbnails) != len(labels):
        raise ValueError(f"`thumbnails` must be one for each of the {len(labels)} images, got {len(thumbnails)}")
    marks = class_marks(list(names))
    position = {label: index for index, label in enumerate(names)}
    content: dict[str, Any] = {
        "classes": [
            {"name": name, "color": marks[label].color, "outline": marks[label].outline, "filled": marks[label].filled}
            for label, name in names.items()
        ],
        "labels": [position[label] for label in labels.tolist()],
        "panels": [
            {"title": heading, "quality": quality_lines(embedding), "points": _whole_numbers(embedding)}
            for heading, embedding in zip(headings, embeddings, strict=True)
        ],
        "steps": _STEPS,
        "sheet": None if thumbnails is None else _sheet(thumbnails),
    }
    title = ", ".join(headings)
    figures, rows = quality_table(embeddings)
    text = render_page(
        "embedding.html",
        styles=["embedding.css"],
        scripts=["report/downloads.js", "embedding.js"],
        content=content,
        title=title,
        caption=describe_embeddings(embeddings, in_brackets=False),
        figures=figures,
        rows=list(zip(headings, rows, strict=True)),
    )
    return WebPage(text, title)


def _whole_numbers(embedding: Embedding) -> list[int]:
    """Coordinates x, y, x, y, …, both axes on one scale, the larger extent filling the steps, y downwards."""
    points = embedding.points.astype(np.float64) * (1, -1)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (high - low).max() or 1.0
    return np.rint(((points - (low + high) / 2) / extent + 0.5) * _STEPS).astype(int).ravel().tolist()


def _sheet(thumbnails: UInt8[np.ndarray, "images height width 3"]) -> dict[str, Any]:
    """All thumbnails on one picture, row by row, as a data URL."""
    count, height, width = thumbnails.shape[:3]
    most = thumbnail_side(count)
    side = min(most, max(8, -(-max(height, width) // 8) * 8))  # JPEG's blocks of 8 do not reach into a neighbor
    columns = int(np.ceil(np.sqrt(count)))
    sheet = Image.new("RGB", (columns * side, -(-count // columns) * side))
    for number, pixels in enumerate(thumbnails):
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if image.size != (side, side):
            larger = max(height, width) > side
            image = image.resize((side, side), Image.Resampling.BOX if larger else Image.Resampling.NEAREST)
        sheet.paste(image, (number % columns * side, number // columns * side))
    kind, data = "png", _encoded(sheet, "PNG")
    if len(data) > _MOST_LOSSLESS:
        kind, data = "jpeg", _encoded(sheet, "JPEG", quality=85, subsampling=0)
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return {"url": url, "columns": columns}


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
