"""Html pages from templates: one text each that needs no network, in which whatever is not ours stays text."""

import html
import math
import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, final

from jinja2 import Environment, PackageLoader, StrictUndefined, Undefined
from markupsafe import Markup

from gradscape import __version__
from gradscape._files import replacing_text
from gradscape._names import visible
from gradscape.figures.web.policy import page_policy

__all__ = ["WebPage", "render_page", "render_piece"]

_NOTEBOOK_HEIGHT = 640  # pixels
# plotly adds the style sheet of its maps of the earth where no element has this name; no page has such maps.
_LEFT_OUT = re.compile(r'document\.getElementById\("([0-9a-f]{64})"\)')


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
        with replacing_text(path) as file:
            file.write(self)

    def _repr_html_(self) -> str:
        # In a frame of its own, which sees nothing of the notebook.
        return (
            f'<iframe srcdoc="{html.escape(self)}" title="{html.escape(self.about)}" width="100%" '
            f'height="{_NOTEBOOK_HEIGHT}" style="border: 0" sandbox="allow-scripts allow-downloads"></iframe>'
        )


def render_page(
    template: str,
    *,
    styles: Sequence[str],
    scripts: Sequence[str] = (),
    libraries: Sequence[str] = (),
    content: object = None,
    **shown: Any,
) -> str:
    """Fill in a template of this folder that extends `page.html`.

    What the page shows can be anybody's text: it is escaped, letters that cannot be seen are spelled out, and nothing
    in it runs or is asked for (`page_policy`).

    Args:
        template: Its file below `templates`.
        styles: Style sheets below `templates`, in their order.
        scripts: JavaScript below `templates`, which runs as one, in this order.
        libraries: JavaScript as text that runs before.
        content: What the scripts draw, as JSON can hold it, but for numbers that are not finite: they become None.
        **shown: What the template shows, by the names that it uses; all of them must be given.

    Returns:
        The text of an HTML file.
    """
    style = _files_text(styles)
    ran = [*libraries, *(['"use strict";\n' + _files_text(scripts)] if scripts else [])]
    return (
        _environment()
        .get_template(template)
        .render(
            policy=page_policy(style, ran, library=bool(libraries)),
            style=style,
            scripts=ran,
            content=_visible_content(content),
            foreign_styles=sorted({name for library in libraries for name in _LEFT_OUT.findall(library)}),
            version=__version__,
            **shown,
        )
    )


def render_piece(template: str, **shown: Any) -> str:
    """Fill in a template of this folder that is a piece of a page, for a notebook.

    Args:
        template: Its file below `templates`.
        **shown: As for `render_page`.
    """
    return _environment().get_template(template).render(**shown)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gradscape.figures.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def _files_text(names: Sequence[str]) -> str:
    """Files below `templates` as they are, one after the other."""
    environment = _environment()
    assert environment.loader is not None
    text = "".join(environment.loader.get_source(environment, name)[0] for name in names)
    return text.replace("\r\n", "\n")  # as a browser reads it before it takes the digest


def _visible(value: object) -> object:
    """What a template shows, with everything in it to be seen; what is ours already stays as it is."""
    return value if isinstance(value, Markup | Undefined | int | float) else visible(str(value))


def _visible_content(value: object) -> object:
    """The same for what scripts show."""
    if isinstance(value, float):  # first, since most are
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, list | tuple):
        return [_visible_content(part) for part in value]
    if isinstance(value, Mapping):
        return {visible(str(key)): _visible_content(part) for key, part in value.items()}
    return value
