"""What a mean over many noisy values would be without their noise."""

import numpy as np
from jaxtyping import Float

__all__ = ["mean_magnitude", "share_nonnegative"]

_CERTAIN = 8.0  # so many standard errors away from 0, noise changes neither a magnitude's mean nor a sign
_BINS = 96
_ATOMS = 61
_STEPS = 60
_MEDIAN_SQUARE = 0.4549  # of a standard normal value
_LEAST_EXCESS = 0.01


def mean_magnitude(
    values: Float[np.ndarray, "samples cells"],
    noise: Float[np.ndarray, "samples cells"],
    weights: Float[np.ndarray, "cells"],
) -> Float[np.ndarray, "samples"]:
    """Weighted mean over cells of |μ| where values are μ plus normal noise.

    The distribution of μ/noise over the cells is estimated without an assumption on its shape, by expectation
    maximization on a fixed set of points, and |μ| is replaced by its expectation given the value.

    Args:
        values: Noisy values.
        noise: Standard deviation of each cell's noise; 0 where there is none.
        weights: What each cell counts; they sum to 1.

    Source: Jiang and Zhang, General maximum likelihood empirical Bayes estimation of normal means (2009).
    """
    # Noise does not cancel in magnitudes: where μ is 0, |value| is 0.8 of the noise's deviation on average, so that a
    # plain mean grows as images get fewer.
    ratios, unsure = _ratios(values, noise)
    certain = np.where(unsure, 0.0, np.abs(values)) @ weights
    return certain + _expected(np.abs(_atoms()), ratios, unsure, weights * noise)


def share_nonnegative(
    values: Float[np.ndarray, "samples cells"],
    noise: Float[np.ndarray, "samples cells"],
    weights: Float[np.ndarray, "cells"],
) -> Float[np.ndarray, "samples"]:
    """Weighted share of cells where μ ≥ 0, estimated likewise; arguments as for `mean_magnitude`."""
    ratios, unsure = _ratios(values, noise)
    certain = np.where(unsure, 0.0, values >= 0) @ weights
    positive = np.sign(_atoms()) / 2 + 0.5  # an atom at 0 stands for either side
    return certain + _expected(positive, ratios, unsure, weights)


def _atoms() -> np.ndarray:
    # A third of the noise's deviation apart, which noise cannot resolve, and a bit beyond the ratios that are seen.
    return np.linspace(-_CERTAIN - 2, _CERTAIN + 2, _ATOMS)


def _ratios(values: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ratios = np.divide(values, noise, out=np.full(values.shape, np.inf), where=noise > 0)
    return ratios, np.abs(ratios) < _CERTAIN


def _start(ratios: np.ndarray) -> np.ndarray:
    """Half of it normal with the variance that the bulk of the ratios has beyond noise, half of it even."""
    # From the median and not the mean of squares: a few cells far out would stretch the start over all atoms.
    excess = np.maximum(np.median(np.abs(ratios), axis=1) ** 2 / _MEDIAN_SQUARE - 1, _LEAST_EXCESS)
    normal = np.exp(-0.5 * _atoms() ** 2 / excess[:, None])
    # The even half keeps every atom alive: the iteration multiplies, and could never raise one from 0.
    return normal / normal.sum(axis=1, keepdims=True) / 2 + 1 / _ATOMS / 2


def _expected(function: np.ndarray, ratios: np.ndarray, unsure: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sum over unsure cells of the weighted expectation of a function of the atoms, given the cell's ratio."""
    # Ratios are counted in bins a sixth of the noise's deviation wide. A step of the iteration then takes bins times
    # atoms, whatever the number of cells, and a bootstrap has hundreds of samples of thousands of cells.
    samples = len(ratios)
    place = np.where(unsure, (np.nan_to_num(ratios, posinf=0, neginf=0) / _CERTAIN + 1) / 2 * _BINS, 0)
    # Each sample has bins of its own, one after the other, so that a single `bincount` does for all.
    place = np.clip(place.astype(int), 0, _BINS - 1) + _BINS * np.arange(samples)[:, None]

    def binned(amounts: np.ndarray) -> np.ndarray:
        counted = np.where(unsure, amounts, 0.0).ravel()
        return np.bincount(place.ravel(), weights=counted, minlength=samples * _BINS).reshape(samples, _BINS)

    middles = _CERTAIN * ((np.arange(_BINS) + 0.5) / _BINS * 2 - 1)
    likelihood = np.exp(-0.5 * (middles[:, None] - _atoms()) ** 2)
    share = binned(np.ones(ratios.shape))
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1.0)
    # Where the prior dies out no ratios lie: 1e-300 makes 0 of 0/0.
    prior = _start(ratios)
    for _ in range(_STEPS):
        prior = prior * ((share / np.maximum(prior @ likelihood.T, 1e-300)) @ likelihood)
        prior /= np.maximum(prior.sum(axis=1, keepdims=True), 1e-300)
    expectation = (prior * function) @ likelihood.T / np.maximum(prior @ likelihood.T, 1e-300)
    return (binned(np.broadcast_to(weights, ratios.shape)) * expectation).sum(axis=1)
