"""Trajectories, the planes that show them, and other ways through parameter space.

Its names stand in ``__init__.pyi``; each loads when first used: files that hold trajectories need no more than these.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
