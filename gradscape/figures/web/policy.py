"""What a page may do: look like and run what was written with it, show pictures that lie in it, and nothing else."""

import base64
import hashlib
from collections.abc import Sequence

__all__ = ["page_policy"]


def page_policy(style: str, scripts: Sequence[str], *, library: bool) -> str:
    """Say to a browser what it may take from a page; whatever else gets into one neither runs nor is asked for.

    Args:
        style: The page's style sheet.
        scripts: What runs, each as it stands between its tags.
        library: Whether somebody else's script is among them. plotly empties style attributes, adds an empty style
            sheet that it fills afterwards, and makes pictures by addresses of the page's own.

    Returns:
        A policy as `Content-Security-Policy` takes it.

    Source: W3C, "Content Security Policy Level 3", sections 6.1 and 6.7.
    """
    styles = [_digest(style), *(("'unsafe-hashes'", _digest("")) if library else ())]
    directives = {
        "default-src": ["'none'"],
        "script-src": list(map(_digest, scripts)) or ["'none'"],
        "style-src": styles,
        "img-src": ["data:", *(["blob:"] if library else [])],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
