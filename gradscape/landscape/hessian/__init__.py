"""Hessians of the loss: products, the ends of the spectrum, trace and density, each with its error over images."""
