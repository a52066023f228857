"""How rough a surface is, and how much of it is convex, without what sampling noise adds."""

import numpy as np
from jaxtyping import Bool, Float
from numpy.lib.stride_tricks import sliding_window_view

from gradscape.landscape.metrics.denoising import mean_magnitude, share_nonnegative
from gradscape.landscape.metrics.estimates import Estimates, joined, undefined
from gradscape.landscape.metrics.plane_hessian import cell_areas, second_derivatives
from gradscape.landscape.metrics.resampling import Resamples

__all__ = ["estimate_convex_share", "estimate_roughness", "estimate_scaled_roughness"]

_TAIL = (0.025, 0.075)
_CLIPPED = (-1.0, 2.0)
_RESOLVED = 2.0  # standard errors from 0 at which a cell's sign counts as known
_SURE = 5.0
_ROUNDING = 64 * np.finfo(float).eps


def estimate_roughness(samples: Resamples) -> Estimates:
    """Mean absolute discrete Laplacian of the log-loss over inner points, weighted by their areas."""
    loss = samples.loss
    if (loss[0] <= 0).any():
        return undefined(samples, "the log-loss needs losses above 0")
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(loss > 0, np.log(loss), np.nan)
        # How a block moves the logarithm of the mean, to first order.
        relative = samples.sample.loss / loss[0]
    return _mean_laplacian(samples, logs, relative)


def estimate_scaled_roughness(samples: Resamples) -> Estimates:
    """The same of the loss scaled by its quantiles and clipped.

    A single outlier neither stretches the scale, by which it would make all else smooth, nor is itself larger than
    the clipping allows.
    """
    if not np.isfinite(samples.loss[0]).any():
        return undefined(samples, _NO_CELL)
    low, high = _tails(samples.loss)
    if not (high - low)[0] > 0:
        return undefined(samples, "the loss is constant between its quantiles")
    scaled = np.clip((samples.loss - low) / (high - low), *_CLIPPED)
    moved = (samples.sample.loss - low[0]) / (high - low)[0]
    moves = (scaled[0] > _CLIPPED[0]) & (scaled[0] < _CLIPPED[1])
    return _mean_laplacian(samples, scaled, np.where(moves, moved, scaled[0]))


def estimate_convex_share(samples: Resamples) -> Estimates:
    """Share of the inner area where the discrete Hessian of the loss has no negative eigenvalue."""
    sample = samples.sample
    along_alpha, mixed, along_beta = second_derivatives(samples.loss, sample.alphas, sample.betas)
    known, weights = _inner(samples, along_alpha + mixed + along_beta)
    if not known.any():
        return undefined(samples, _NO_CELL)
    least = (along_alpha + along_beta) / 2 - np.hypot((along_alpha - along_beta) / 2, mixed)
    least = np.where(np.abs(least) <= _rounding(samples), 0.0, least)
    # The eigenvector of the least eigenvalue; along it each block's second derivative is taken.
    angle = np.arctan2(2 * mixed[0], along_alpha[0] - along_beta[0]) / 2 + np.pi / 2
    of_blocks = second_derivatives(sample.loss, sample.alphas, sample.betas)
    along = np.stack([np.cos(angle) ** 2, np.sin(2 * angle), np.sin(angle) ** 2])
    noise = samples.noise(np.einsum("tkrc,trc->krc", of_blocks, along))[:, known]
    values = least[:, known]
    unsure = np.abs(values[0]) < _RESOLVED * noise[0]
    # Weights add up to 1 but for rounding, by which an interval from 1 to 1 would miss it.
    estimates = share_nonnegative(values, noise, weights).round(12)
    hidden = float(unsure @ weights)
    if hidden <= 0.5:
        return Estimates(estimates, note=_omitted(known))
    # Of thousands of cells some are beyond two standard errors on the wrong side, but none beyond so many.
    convex, other = (float(part @ weights) for part in (values[0] > _SURE * noise[0], values[0] < -_SURE * noise[0]))
    note = f"noise hides the sign in {100 * hidden:.0f} % of the cells: more images are needed"
    return Estimates(estimates, note=note, least=round(convex, 12), most=round(1 - other, 12))


def _rounding(samples: Resamples) -> Float[np.ndarray, "rows columns"]:
    """What rounding may add to each cell's second derivatives: by the losses and steps of its own 3×3 points."""
    sample = samples.sample
    largest = sliding_window_view(np.abs(samples.loss[0]), (3, 3)).max(axis=(2, 3))
    alphas, betas = (
        sliding_window_view(np.abs(np.diff(axis)), 2).min(axis=1) for axis in (sample.alphas, sample.betas)
    )
    return np.asarray(_ROUNDING * largest / np.minimum(alphas, betas[:, None]) ** 2)


def _tails(values: Float[np.ndarray, "samples betas alphas"]) -> Float[np.ndarray, "two samples 1 1"]:
    """Mean of the values around the 5 % quantile and around the 95 % one.

    A quantile alone jumps from one grid point to another where symmetry gives several the same value.
    """
    known = np.isfinite(values[0])
    ordered = np.sort(values[:, known], axis=1)
    start, stop = (int(np.ceil(share * ordered.shape[1])) for share in _TAIL)
    tails = ordered[:, start : max(stop, start + 1)], ordered[:, ::-1][:, start : max(stop, start + 1)]
    return np.stack([tail.mean(axis=1) for tail in tails])[:, :, None, None]


_NO_CELL = "no inner point has all its neighbors' values"


def _mean_laplacian(
    samples: Resamples,
    values: Float[np.ndarray, "samples betas alphas"],
    of_blocks: Float[np.ndarray, "blocks betas alphas"],
) -> Estimates:
    """Mean absolute Laplacian; blocks give its noise, in which what points share through their images cancels."""
    axes = samples.sample.alphas, samples.sample.betas
    along_alpha, _, along_beta = second_derivatives(values, *axes)
    laplacians = along_alpha + along_beta
    known, weights = _inner(samples, laplacians)
    if not known.any():
        return undefined(samples, _NO_CELL)
    blocks_alpha, _, blocks_beta = second_derivatives(of_blocks, *axes)
    noise = samples.noise((blocks_alpha + blocks_beta)[:, known])
    magnitudes = mean_magnitude(laplacians[:, known], noise, weights)
    raw = float(np.abs(laplacians[0, known]) @ weights)
    noisy = "more than half of the raw value is noise: more images are needed" if raw > 2 * magnitudes[0] else ""
    return Estimates(magnitudes, target=raw, note=joined(_omitted(known), noisy))


def _inner(
    samples: Resamples, values: Float[np.ndarray, "samples rows columns"]
) -> tuple[Bool[np.ndarray, "rows columns"], Float[np.ndarray, "cells"]]:
    """Inner points that have a value in the sample, and the share of their area that each one has."""
    known = np.isfinite(values[0])
    areas = cell_areas(samples.sample.alphas, samples.sample.betas)[known]
    return known, areas / areas.sum() if len(areas) else areas


def _omitted(known: Bool[np.ndarray, "rows columns"]) -> str:
    missing = int((~known).sum())
    return f"{missing} of {known.size} inner points left out: a loss around them is missing" if missing else ""
