"""How sharp and how wide the basin around the trained network is, on the plane."""

import numpy as np

from gradscape.landscape.metrics.areas import area_below
from gradscape.landscape.metrics.estimates import Estimates, joined, undefined
from gradscape.landscape.metrics.resampling import Resamples

__all__ = [
    "estimate_error_area",
    "estimate_flatness_ratio",
    "estimate_plane_curvature",
    "estimate_sharpness",
    "estimate_width",
]

_NO_ORIGIN = "the grid does not surround the origin"
_NO_ORIGIN_LOSS = "the origin was not evaluated, or its loss is not finite"
_FOLDS = 4
_SPLITS = 3
_CHUNK = 64


def estimate_sharpness(samples: Resamples) -> Estimates:
    """Largest rise of the loss within ε, half the radius of the largest circle in the grid.

    Noise makes a maximum too large: where the loss is largest is therefore found on three quarters of the blocks, and
    how large it is there is read from the others, in turn.

    Source: Keskar et al. 2017, metric 2.1; cross-fitting as in Chernozhukov et al. 2018.
    """
    if problem := _origin_problem(samples):
        return undefined(samples, problem)
    sample = samples.sample
    assert sample.polar is not None
    circles = sample.polar(sample.loss)
    rises = circles[:, : circles.shape[1] // 2].reshape(len(circles), -1) - sample.origin_loss[:, None]
    if not np.isfinite(rises).all():
        return undefined(samples, "a loss within ε is not finite")
    if not sample.enough:
        return Estimates(np.maximum((samples.weights @ rises).max(axis=1), 0.0))
    found = np.zeros(len(samples.weights))
    generator = np.random.default_rng(0)
    for _ in range(_SPLITS):
        fold = generator.permutation(len(rises)) % _FOLDS
        for number in range(_FOLDS):
            held, others = (samples.weights * part for part in (fold == number, fold != number))
            found += np.einsum("sk,ks->s", held, rises[:, (others @ rises).argmax(axis=1)])
    return Estimates(found / _SPLITS)


def estimate_width(samples: Resamples, loss_rise: float) -> Estimates:
    """Diameter of the circle around the origin on which the mean loss has risen by so much.

    Between two circles the root of the rise is taken as linear, which it is in a quadratic bowl.
    """
    if problem := _origin_problem(samples):
        return undefined(samples, problem)
    circles = samples.sample.polar
    assert circles is not None
    profile = circles(samples.loss).mean(axis=2) - samples.origin_loss[:, None]
    roots = np.pad(np.sqrt(np.maximum(profile, 0.0)), ((0, 0), (1, 0)))
    radii = np.concatenate([[0.0], circles.radii])
    level = np.sqrt(loss_rise)
    outside = (roots >= level) | np.isnan(roots)
    last = np.maximum(outside.argmax(axis=1), 1)
    low, high = (np.take_along_axis(roots, at[:, None], axis=1)[:, 0] for at in (last - 1, last))
    with np.errstate(invalid="ignore", divide="ignore"):
        radius = radii[last - 1] + (radii[last] - radii[last - 1]) * (level - low) / (high - low)
    width = np.where(outside.any(axis=1), 2 * radius, np.nan)
    if np.isfinite(width[0]):
        return Estimates(width)
    if np.isnan(profile[0]).any():
        return undefined(samples, "a loss is not finite before the rise is reached")
    return undefined(
        samples, f"the mean loss rises by {profile[0].max():.2g} up to the edge, not by {loss_rise:.2g}: widen the span"
    )


def estimate_plane_curvature(samples: Resamples) -> Estimates:
    """Mean of the eigenvalues of the Hessian at the origin."""
    if problem := _hessian_problem(samples):
        return undefined(samples, problem)
    along_alpha, _, along_beta = samples.hessians.T
    return Estimates((along_alpha + along_beta) / 2)


def estimate_flatness_ratio(samples: Resamples) -> Estimates:
    """Smaller eigenvalue of the Hessian at the origin over the larger: the inverse of the anisotropy.

    Unlike that, it has no pole where the smaller one is 0.
    """
    if problem := _hessian_problem(samples):
        return undefined(samples, problem)
    along_alpha, mixed, along_beta = samples.hessians.T
    mean, half = (along_alpha + along_beta) / 2, np.hypot((along_alpha - along_beta) / 2, mixed)
    if not mean[0] > half[0]:
        return undefined(samples, f"an eigenvalue at the origin is {mean[0] - half[0]:.2g}: no minimum on this plane")
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(mean + half > 0, (mean - half) / (mean + half), -np.inf)
    return Estimates(ratio, target=float(ratio[0]), inverse=True)


def estimate_error_area(samples: Resamples, error_rise: float) -> Estimates:
    """Area of the grid in which the error is at most the origin's plus so much."""
    sample = samples.sample
    error, level = samples.mean(sample.error), samples.mean(sample.origin_error) + error_rise
    if not np.isfinite(error[0]).any() or not np.isfinite(level[0]):
        return undefined(samples, "no error was measured at the origin or on the grid")
    areas = [
        area_below(error[start : start + _CHUNK], level[start : start + _CHUNK], sample.alphas, sample.betas)
        for start in range(0, len(error), _CHUNK)
    ]
    border = np.concatenate([error[0, [0, -1]].ravel(), error[0, :, [0, -1]].ravel()])
    reaches = bool((border <= level[0]).any())
    missing = int((~np.isfinite(error[0])).sum())
    note = joined(
        f"{missing} points have no error: the area around them is not counted" if missing else "",
        "reaches the edge of the grid: it goes on outside" if reaches else "",
    )
    values = np.concatenate(areas)
    return Estimates(values, target=float(values[0]), note=note)


def _hessian_problem(samples: Resamples) -> str:
    return _origin_problem(samples) or ("" if np.isfinite(samples.hessians[0]).all() else "a loss is not finite")


def _origin_problem(samples: Resamples) -> str:
    if samples.sample.polar is None:
        return _NO_ORIGIN
    return "" if np.isfinite(samples.origin_loss[0]) else _NO_ORIGIN_LOSS
