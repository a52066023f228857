"""Html pages from templates: one text each that needs no network, in which whatever is not ours stays text."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

__all__ = ["render_page"]


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
