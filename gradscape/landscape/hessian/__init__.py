"""Hessians of the loss: products, the ends of the spectrum, trace and density, each with its error over images."""

from gradscape.landscape.hessian.products import HessianProducts

__all__ = ["HessianProducts"]
