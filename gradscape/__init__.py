"""gradscape: the terrain a trained image classifier lies in, and what it looks at.

Sub-packages load when first used, so that ``import gradscape`` and ``gradscape --help`` are instant.
"""

import importlib
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
