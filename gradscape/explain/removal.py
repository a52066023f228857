"""Images without some of their pixels: replaced by another image's, or filled in from the pixels around them."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.linalg import solveh_banded
from torch import Tensor
from torch.nn import functional as F

__all__ = ["blurred", "impute", "pixel_ranks", "replaced"]

_BLUR_RADIUS = 5
_BLUR_SIGMA = 5.0
_NEIGHBORS = tuple(
    (down, right, 1 / 6 if down * right == 0 else 1 / 12)
    for down in (-1, 0, 1)
    for right in (-1, 0, 1)
    if (down, right) != (0, 0)
)


def pixel_ranks(
    display: Float[np.ndarray, "height width"], signed: Float[np.ndarray, "height width"], *, seed: int
) -> Int[np.ndarray, "height width"]:
    """Rank of each pixel, 0 for the most relevant one.

    Pixels of one relevance, such as all that a ReLU set to 0, are ranked by the signed map, and what is equal there
    too by a shuffle, so that ties lean to no side of the image.

    Args:
        display: The heatmap as it is shown.
        signed: The map before its negative values were cut off, at the same size.
        seed: Of the shuffle.
    """
    shuffle = np.random.default_rng(seed).permutation(display.size)
    order = np.lexsort((shuffle, -signed.ravel(), -display.ravel()))
    ranks = np.empty(display.size, np.int64)
    ranks[order] = np.arange(display.size)
    return ranks.reshape(display.shape)


def replaced(
    image: Float[Tensor, "channels height width"],
    other: Float[Tensor, "channels #height #width"],
    ranks: Int[Tensor, "height width"],
    counts: Int[Tensor, "steps"],
) -> Float[Tensor, "steps channels height width"]:
    """Images in which the `counts` most relevant pixels are those of `other`.

    Args:
        image: The image to begin with.
        other: Another image, or one color.
        ranks: As `pixel_ranks` gives them.
        counts: How many pixels to replace in each of the results.
    """
    return torch.where(ranks < counts[:, None, None, None], other, image)


def blurred(image: Float[Tensor, "channels height width"]) -> Float[Tensor, "channels height width"]:
    """The image under a Gaussian of σ = 5 pixels cut off at 11×11, its border pixels repeated outward.

    Source: Petsiuk et al. 2018, RISE, arXiv 1806.07421; the kernel of its published code.
    """
    places = torch.arange(-_BLUR_RADIUS, _BLUR_RADIUS + 1, device=image.device, dtype=torch.float32)
    weights = torch.exp(-places.square() / (2 * _BLUR_SIGMA**2))
    weights = weights / weights.sum()
    padded = F.pad(image.float()[:, None], (_BLUR_RADIUS,) * 4, mode="replicate")
    across = F.conv2d(padded, weights.view(1, 1, 1, -1))
    return F.conv2d(across, weights.view(1, 1, -1, 1))[:, 0].to(image.dtype)


def impute(
    image: Float[np.ndarray, "channels height width"], removed: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "channels height width"]:
    """Fill in removed pixels, each with the weighted mean of its neighbors in the image.

    The four direct neighbors weigh 1/6, the four diagonal ones 1/12, whether they are known or filled in themselves;
    where some lie outside the image, the others' weights are scaled up to one. This is a sparse system of equations,
    symmetric and of a bandwidth of about the image's shorter side s, solved by Cholesky in float32: errors stay near
    1e-4 at 224 pixels, and memory is at most 4·s²·(longer side) bytes.

    Args:
        image: The image.
        removed: True where a pixel is unknown; at least one must be known.

    Raises:
        ValueError: No pixel is known.

    Source: Rong et al. 2022, ROAD, arXiv 2202.00449, noisy linear imputation, here without its noise.
    """
    if removed.all():
        raise ValueError("`removed` must leave at least one pixel of the image")
    if not removed.any():
        return image.copy()
    if removed.shape[1] > removed.shape[0]:  # numbered along the shorter side, neighbors are nearer
        return impute(image.transpose(0, 2, 1), removed.T).transpose(0, 2, 1)
    band, known = _equations(image, removed)
    filled = image.copy()
    filled[:, removed] = solveh_banded(
        band, known, lower=True, overwrite_ab=True, overwrite_b=True, check_finite=False
    ).T
    return filled


def _equations(image: np.ndarray, removed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower band of Σ_neighbors weight·(x − x_neighbor) = 0, and what the known neighbors contribute."""
    rows, columns = np.nonzero(removed)
    numbers = np.arange(len(rows))
    numbered = np.full(np.add(removed.shape, 2), -1)
    numbered[rows + 1, columns + 1] = numbers
    inside = np.pad(np.ones(removed.shape, np.float32), 1)
    kept = np.pad(np.where(removed, 0, image), ((0, 0), (1, 1), (1, 1)))
    diagonal = np.zeros(len(rows), np.float32)
    known = np.zeros((len(rows), len(image)), np.float32)
    couplings = []
    for down, right, weight in _NEIGHBORS:
        place = rows + 1 + down, columns + 1 + right
        diagonal += weight * inside[place]
        known += weight * kept[:, *place].T
        later = numbered[place] > numbers
        couplings.append((numbered[place][later], numbers[later], weight))
    width = max((int((second - first).max(initial=0)) for second, first, _ in couplings), default=0)
    band = np.zeros((width + 1, len(rows)), np.float32)
    band[0] = diagonal
    for second, first, weight in couplings:
        band[second - first, first] = -weight
    return band, known
