"""A curvature with every part, made up."""

import numpy as np

from gradscape.landscape import Curvature, Density, Spectrum, Trace
from gradscape.landscape.hessian.held_out import HeldOutCurvature, draw_halves

NAMES = ("stem.weight", "stem.bias", "head.weight")


def made_up(*, images: int = 120, population: int = 500, seed: int = 0, top: int = 2) -> Curvature:
    """Two of the largest and one of the smallest eigenvalues, an exact trace and a density."""
    generator = np.random.default_rng(seed)
    second, values = draw_halves(images, seed), np.array([9.0, 4.0, -1.0])
    forms = generator.normal(np.array([5.0, 2.0, 0.5])[:, None], 1.0, (2, 3, images))
    forms[0][:, ~second], forms[1][:, second] = np.nan, np.nan
    layers = generator.gamma(4.0, 1.0, (images, 3))
    spectrum = Spectrum(
        values=values,
        residuals=np.array([1e-5, 1e-3, 0.2]),
        errors=np.array([1e-9, 1e-6, 0.05]),
        converged=np.array([True, True, False]),
        top=top,
        steps=20,
        held_out=HeldOutCurvature(second, np.stack([values + 1, values + 2]), forms, population),
        images=images,
        names=NAMES,
    )
    nodes = np.sort(generator.normal(0, 3, (3, 10)))
    weights = generator.dirichlet(np.ones(10), 3)
    meta = {"title": "made up", "data": "digits", "split": "test", "images": images, "population": population}
    trace = Trace(layers.sum(axis=1), population, NAMES, layers=layers)
    return Curvature(spectrum, 64, trace, Density(nodes, weights, 64, images), meta)
