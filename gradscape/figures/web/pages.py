"""Html pages from templates: one text each that needs no network, in which whatever is not ours stays text."""

import html
import os
from functools import cache
from typing import Any, final

from jinja2 import Environment, PackageLoader, StrictUndefined

from gradscape._files import replacing

__all__ = ["WebPage", "render_page"]

_NOTEBOOK_HEIGHT = 640  # pixels


@final
class WebPage(str):
    """The text of an HTML file, which a notebook shows and which saves itself.

    Attributes:
        about: Whose page it is, in a few words.
    """

    about: str

    def __new__(cls, text: str, about: str = "page") -> "WebPage":
        """Take the text of a whole file."""
        page = super().__new__(cls, text)
        page.about = about
        return page

    def __repr__(self) -> str:
        return f"WebPage: {self.about}, {len(self) / 1e6:.1f} MB; save it with .save(path)"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all at once.

        Args:
            path: The `.html` file to create or replace.
        """
        with replacing(path) as partial:
            partial.write_text(self, encoding="utf-8")

    def _repr_html_(self) -> str:
        # In a frame of its own, which sees nothing of the notebook.
        return (
            f'<iframe srcdoc="{html.escape(self)}" title="{html.escape(self.about)}" width="100%" '
            f'height="{_NOTEBOOK_HEIGHT}" style="border: 0" sandbox="allow-scripts allow-downloads"></iframe>'
        )


def render_page(template: str, **content: Any) -> str:
    """Fill in a template of this folder.

    Args:
        template: Its file below `templates`.
        **content: What it shows, by the names that it uses; all of them must be given. It is escaped.

    Returns:
        The text of an HTML file.
    """
    return _environment().get_template(template).render(**content)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gradscape.figures.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
