"""Pages for paper as the report shows them: pictures that lie within the page."""

import base64
from dataclasses import dataclass
from typing import final

from gradscape.figures import Figure
from gradscape.figures.caption import caption_of
from gradscape.figures.style import picture_bytes

__all__ = ["StillPicture", "still_picture"]

_DOTS = 160  # an inch


@final
@dataclass(frozen=True)
class StillPicture:
    """A picture within the page.

    Attributes:
        url: The picture itself.
        said: What it shows, for those who do not see it.
        caption: What stands below.
    """

    url: str
    said: str
    caption: str


def still_picture(figure: Figure, said: str) -> StillPicture:
    """Put a page into the report.

    Args:
        figure: The page, with its caption.
        said: What it shows, in a few words.
    """
    encoded = base64.b64encode(picture_bytes(figure, dots=_DOTS)).decode("ascii")
    return StillPicture(f"data:image/png;base64,{encoded}", said, caption_of(figure))
