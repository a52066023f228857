"""Second derivatives of surfaces by finite differences, on grids of any spacing."""

import numpy as np
from jaxtyping import Float

__all__ = ["cell_areas", "center_hessian", "second_derivatives"]

_WINDOW = 5


def second_derivatives(
    values: Float[np.ndarray, "samples betas alphas"],
    alphas: Float[np.ndarray, "alphas"],
    betas: Float[np.ndarray, "betas"],
) -> Float[np.ndarray, "three samples rows columns"]:
    """∂²/∂α², ∂²/∂α∂β and ∂²/∂β² at the inner points of a grid, each from the 3×3 points around it.

    On an axis the parabola through three points gives the second derivative; the chord between the outer two gives
    the first one, taken along both axes for the mixed derivative.

    Args:
        values: Values [sample, beta, alpha].
        alphas: (A,) coordinates, A ≥ 3.
        betas: (B,) coordinates, B ≥ 3.

    Returns:
        (3, samples, B − 2, A − 2); NaN where one of the 3×3 points has no value.
    """
    # Chords, not the parabola's slope in the middle: the mixed derivative is exact for quadratics either way, and its
    # noise then comes from four points only.
    slopes = _along(values, alphas, axis=2, order=1)
    return np.stack(
        [
            _along(values[:, 1:-1], alphas, axis=2, order=2),
            _along(slopes, betas, axis=1, order=1),
            _along(values[:, :, 1:-1], betas, axis=1, order=2),
        ]
    )


def _along(values: np.ndarray, coordinates: np.ndarray, *, axis: int, order: int) -> np.ndarray:
    """Derivative along an axis from three points each; two points fewer."""
    shape = [1, 1, 1]
    shape[axis] = -1
    steps = np.diff(coordinates)
    before, after = steps[:-1].reshape(shape), steps[1:].reshape(shape)
    inner = len(coordinates) - 2
    low, middle, high = (np.take(values, range(start, start + inner), axis=axis) for start in range(3))
    if order == 1:
        return (high - low) / (before + after)
    return 2 * ((high - middle) / after - (middle - low) / before) / (before + after)


def cell_areas(
    alphas: Float[np.ndarray, "alphas"], betas: Float[np.ndarray, "betas"]
) -> Float[np.ndarray, "rows columns"]:
    """Area that each inner point of a grid stands for, (B − 2, A − 2)."""
    return np.outer(np.abs(betas[2:] - betas[:-2]), np.abs(alphas[2:] - alphas[:-2])) / 4


def center_hessian(
    values: Float[np.ndarray, "samples betas alphas"],
    origins: Float[np.ndarray, "samples"],
    alphas: Float[np.ndarray, "alphas"],
    betas: Float[np.ndarray, "betas"],
) -> Float[np.ndarray, "samples three"]:
    """(∂²/∂α², ∂²/∂α∂β, ∂²/∂β²) at the origin by a quadratic fit to the 5×5 grid points nearest to it, and itself.

    Args:
        values: Values [sample, beta, alpha].
        origins: Value at (0, 0) of each sample.
        alphas: (A,) coordinates.
        betas: (B,) coordinates.

    Returns:
        (samples, 3); NaN where one of the points has no value, or they do not determine a quadratic.
    """
    # The nearest points, wherever the origin lies in the grid; 26 points for six unknowns average noise away.
    columns, rows = (np.argsort(np.abs(axis), kind="stable")[:_WINDOW] for axis in (alphas, betas))
    # With coordinates of about 1, neither rank nor pseudo-inverse depends on how wide the grid is.
    scale = max(np.abs(alphas[columns]).max(), np.abs(betas[rows]).max())
    a, b = (np.append(part.ravel() / scale, 0.0) for part in np.meshgrid(alphas[columns], betas[rows]))
    # With the halves, the coefficients are the derivatives themselves.
    design = np.stack([np.ones_like(a), a, b, a * a / 2, a * b, b * b / 2], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return np.full((len(values), 3), np.nan)
    window = values[:, rows[:, None], columns].reshape(len(values), -1)
    fit = np.linalg.pinv(design)[3:]
    # From the origin's value on: a constant would be left over as rounding errors. The origin's own difference is 0,
    # so that its column of the fit drops out.
    return (window - origins[:, None]) @ fit[:, :-1].T / scale**2
