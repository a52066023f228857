"""gradscape: the terrain a trained image classifier lies in, and what it looks at.

Sub-packages load when first used, so that ``import gradscape`` and ``gradscape --help`` are instant.
"""

import importlib
import sys
from types import ModuleType

__version__ = "0.1.0"

_SUBPACKAGES = ("data", "explain", "figures", "landscape", "models", "studies", "training")

__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def _drawn_in_notebooks() -> None:
    """Tell a running IPython how results look: it asks by their names, since landscapes know of no figures."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        pages = shell.display_formatter.formatters["text/html"]
        for kind in ("Surface", "Line"):
            pages.for_type_by_name(f"{__name__}.landscape.{kind.lower()}", kind, _drawn)


def _drawn(result: object) -> str:
    return str(__getattr__("figures").notebook_html(result))


_drawn_in_notebooks()
