"""Galleries: what networks make of the same pictures, as data for the page, which colors and enlarges them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

from gradscape.data.pictures import ShownPictures
from gradscape.figures.web.packed_maps import picture_sheet
from gradscape.studies.report.definition import Shown
from gradscape.studies.report.found import Found, ReportedNetwork, owned

__all__ = ["Gallery", "GalleryPanel", "make_galleries", "show_galleries"]

_MOST_PICTURES = 24

T = TypeVar("T")
GalleryPanel = dict[str, Any]
"""One result in a gallery, as JSON can hold it."""


@final
@dataclass(frozen=True, eq=False)
class Gallery:
    """What networks make of the same pictures.

    Attributes:
        names: Of the pictures, as many as are shown.
        left_out: How many more there are.
        content: The same and all else, as JSON can hold it.
        choices: What a reader can choose between, by what it is.
    """

    names: tuple[str, ...]
    left_out: int
    content: Mapping[str, Any]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def make_galleries(
    networks: Sequence[ReportedNetwork],
    pictures: Sequence[Found[ShownPictures]],
    result_type: type[T],
    *,
    count: Callable[[T], int],
    panel: Callable[[ReportedNetwork, T, Sequence[str]], GalleryPanel],
) -> list[Gallery]:
    """Make a gallery for each set of pictures.

    Args:
        networks: Whose results.
        pictures: Those that were kept.
        result_type: Type of the results.
        count: Number of pictures that a result is about, 0 where it does not tell.
        panel: A network's result for the pictures of these names.
    """
    groups: dict[str, list[tuple[ReportedNetwork, Found[T]]]] = {}
    for network, found in owned(networks, result_type):
        digest = found.picture_digest or str((found.picture_names, _count(found, count)))
        groups.setdefault(digest, []).append((network, found))
    galleries = []
    for digest, group in groups.items():
        names = _names([found for _, found in group], _count(group[0][1], count))
        shown = names[:_MOST_PICTURES]
        content = {
            "names": shown,
            "pictures": _sheet(digest, pictures, len(shown)),
            "panels": [panel(network, found.result, shown) for network, found in group],
        }
        galleries.append(Gallery(shown, len(names) - len(shown), content))
    return galleries


def show_galleries(galleries: Sequence[Gallery]) -> Shown | None:
    """Put galleries on the page, if there are any."""
    return Shown(galleries, [gallery.content for gallery in galleries]) if galleries else None


def _count(found: Found[T], count: Callable[[T], int]) -> int:
    """How many pictures a result is about: by itself, else by what its file says of its making."""
    return count(found.result) or found.meta.images or len(found.picture_names)


def _names(results: Sequence[Found[object]], count: int) -> tuple[str, ...]:
    """Names of the pictures' files without their endings, or numbers where no result tells them."""
    given = next((found.picture_names for found in results if found.picture_names), ())
    named = given if len(given) == count else [f"image {number}" for number in range(count)]
    return tuple(os.path.splitext(name)[0] or name for name in named)


def _sheet(digest: str, pictures: Sequence[Found[ShownPictures]], count: int) -> dict[str, Any] | None:
    """The pictures themselves, if they were kept."""
    kept = next((found.result for found in pictures if found.result.digest == digest), None)
    return picture_sheet(kept.pixels[:count]) if kept and count else None
