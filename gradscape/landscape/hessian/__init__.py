"""Hessians of the loss: products, the ends of the spectrum, trace and density, each with its error over images.

Its names stand in ``__init__.pyi``; each loads when first used: files that hold results need no more than these.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
