"""The methods' equations once more, slowly: loops over images, channels and places in double precision."""

import math
from itertools import product

import numpy as np

__all__ = ["PLAIN"]


def _weighted(features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Σ_c w A from the weight of each channel."""
    return sum((weight[c] * features[c] for c in range(len(features))), np.zeros(features.shape[1:]))


def _places(features: np.ndarray) -> list[tuple[int, int]]:
    return list(product(range(features.shape[1]), range(features.shape[2])))


def _gradcam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    places = _places(features)
    return _weighted(features, np.array([sum(one[p] for p in places) / len(places) for one in gradients]))


def _gradcam_plusplus(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    weight = np.zeros(len(features))
    for c in range(len(features)):
        total = sum(features[c][p] for p in _places(features))
        for g in (gradients[c][p] for p in _places(features)):
            if g > 0:
                weight[c] += g * g**2 / (2 * g**2 + total * g**3 + 1e-6)
    return _weighted(features, weight)


def _hirescam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    found = np.zeros(features.shape[1:])
    for c, p in product(range(len(features)), _places(features)):
        found[p] += gradients[c][p] * features[c][p]
    return found


def _layercam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    found = np.zeros(features.shape[1:])
    for c, p in product(range(len(features)), _places(features)):
        if gradients[c][p] > 0:
            found[p] += gradients[c][p] * features[c][p]
    return found


def _xgradcam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    weight = np.zeros(len(features))
    for c in range(len(features)):
        total = sum(features[c][p] for p in _places(features))
        weight[c] = sum(gradients[c][p] * features[c][p] / (total + 1e-7) for p in _places(features))
    return _weighted(features, weight)


def _elementwise(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    found = np.zeros(features.shape[1:])
    for c, p in product(range(len(features)), _places(features)):
        found[p] += max(gradients[c][p] * features[c][p], 0)
    return found


def _component(evidence: np.ndarray) -> np.ndarray:
    """The coordinates along the direction of largest variance, found by power iteration, rising with the sum."""
    points = evidence.reshape(len(evidence), -1).T
    points = points - points.mean(0)
    direction = np.arange(1.0, points.shape[1] + 1)
    for _ in range(20000):
        direction = points.T @ (points @ direction)
        direction /= math.sqrt(direction @ direction)
    coordinates = points @ direction
    if coordinates @ points.sum(1) < 0:
        coordinates = -coordinates
    return coordinates.reshape(evidence.shape[1:])


def _eigencam(features: np.ndarray, _: np.ndarray) -> np.ndarray:
    return _component(features)


def _eigengradcam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    return _component(gradients * features)


PLAIN = {
    "gradcam": _gradcam,
    "gradcam++": _gradcam_plusplus,
    "hirescam": _hirescam,
    "layercam": _layercam,
    "xgradcam": _xgradcam,
    "elementwise": _elementwise,
    "eigencam": _eigencam,
    "eigengradcam": _eigengradcam,
}
"""By method: (A, g), each (C, h, w), -> the map (h, w) of one image."""
