"""The papers' figures: one file a paper, and how a figure comes from networks, surfaces and trainings.

The public names stand in ``__init__.pyi``; each loads when first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
