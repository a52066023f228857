"""How the methods of the Grad-CAM family make one map of a layer's features and their gradients.

A is the features (N, C, h, w) and g the gradient of the explained score with respect to them; Σ over p runs over the
places (h, w), Σ over c over the channels. Every map is what its equation says before the ReLU around the whole sum, so
that what spoke against the class stays negative; a ReLU inside the sum belongs to the method and stays.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["METHODS", "UNGRADED", "check_weighting"]

FeatureMaps = Float[Tensor, "batch channels height width"]
CamMaps = Float[Tensor, "batch height width"]

_ROUNDING = 1e-5  # share of its terms that a sum of hundreds is uncertain by in single precision
# Both keep grad-cam's values. A weight's numerator vanishes together with its denominator.
_PLUSPLUS_EPSILON = 1e-6
_XGRADCAM_EPSILON = 1e-7


def gradcam(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """Σ_c mean_p(g) A.

    Source: Selvaraju et al., "Grad-CAM", arXiv:1610.02391, equations 1 and 2.
    """
    return _weighted(gradients.mean((2, 3)), features)


def gradcam_plusplus(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """Σ_c w A with w = Σ_p α relu(g) and α = g² / (2 g² + g³ Σ_p A).

    The score's exponential is what the paper differentiates: its derivatives are then powers of g, and its common
    positive factor exp(score) drops out of the displayed map. As in grad-cam 10⁻⁶ is added to α's denominator, which
    damps the weights of channels whose gradient is below 10⁻³.

    Source: Chattopadhyay et al., "Grad-CAM++", arXiv:1710.11063, equations 5 and 19.
    """
    square = gradients.square()
    total = features.sum((2, 3), keepdim=True)
    alpha = square / (2 * square + total * square * gradients + _PLUSPLUS_EPSILON)
    return _weighted((alpha * gradients.relu()).sum((2, 3)), features)


def hirescam(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """Σ_c g A, and zero at a place where the sum is no more than the rounding of its terms.

    So it is at every place of what a layer normalization reads next, as between ViT's blocks, if the model computes in
    single precision; of half precision the rounding is left.

    Source: Draelos and Carin, "HiResCAM", arXiv:2011.08891.
    """
    evidence = gradients * features
    total = evidence.sum(1)
    return torch.where(total.abs() > _ROUNDING * evidence.abs().sum(1), total, torch.zeros_like(total))


def layercam(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """Σ_c relu(g) A; its negative values come from negative features alone.

    Source: Jiang et al., "LayerCAM", IEEE Transactions on Image Processing 30, 2021.
    """
    return (gradients.relu() * features).sum(1)


def xgradcam(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """Σ_c w A with w = Σ_p g A / Σ_p A, with 10⁻⁷ added to the denominator as in grad-cam.

    Source: Fu et al., "Axiom-based Grad-CAM", arXiv:2008.02312.
    """
    weights = (gradients * features).sum((2, 3)) / (features.sum((2, 3)) + _XGRADCAM_EPSILON)
    return _weighted(weights, features)


def elementwise(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """Σ_c relu(g A), which is never negative.

    Source: grad-cam's `GradCAMElementWise`.
    """
    return (gradients * features).relu().sum(1)


def eigencam(features: FeatureMaps, _: FeatureMaps) -> CamMaps:
    """The first principal component of A over the places; it knows nothing of the score.

    Source: Muhammad and Yeasin, "Eigen-CAM", arXiv:2008.00299.
    """
    return _principal(features)


def eigengradcam(features: FeatureMaps, gradients: FeatureMaps) -> CamMaps:
    """The first principal component of g A over the places.

    Source: grad-cam's `EigenGradCAM`.
    """
    return _principal(gradients * features)


METHODS: dict[str, Callable[[FeatureMaps, FeatureMaps], CamMaps]] = {
    "gradcam": gradcam,
    "gradcam++": gradcam_plusplus,
    "hirescam": hirescam,
    "layercam": layercam,
    "xgradcam": xgradcam,
    "elementwise": elementwise,
    "eigencam": eigencam,
    "eigengradcam": eigengradcam,
}
"""By the name that users give: (A, g) -> maps."""

UNGRADED = frozenset({"eigencam"})
"""Methods that look at the features alone."""


def _weighted(weights: Tensor, features: Tensor) -> Tensor:
    return torch.einsum("nc,nchw->nhw", weights, features)


def _principal(evidence: Tensor) -> Tensor:
    """The places' coordinates along the direction in channel space in which they vary most, (N, h, w)."""
    points = evidence.flatten(2).transpose(1, 2).double()  # (N, places, channels); a product of matrices halves digits
    broken = ~points.isfinite().all(2).all(1)
    points = torch.where(broken[:, None, None], 0, points)  # no decomposition takes what is not finite
    points = points - points.mean(1, keepdim=True)
    places, channels = points.shape[1:]
    if places < channels:
        variances, vectors = torch.linalg.eigh(points @ points.mT)
        projection = vectors[..., -1] * variances[:, -1:].clamp(min=0).sqrt()
    else:
        projection = (points @ torch.linalg.eigh(points.mT @ points).eigenvectors[..., -1:])[..., 0]
    signed = torch.where(_is_upside_down(projection, points), -projection, projection)
    signed = torch.where(broken[:, None], torch.nan, signed)
    return signed.unflatten(1, evidence.shape[2:]).to(evidence.dtype)


def _is_upside_down(projection: Tensor, points: Tensor) -> Tensor:
    """Whether a component, whose sign is arbitrary, falls where the evidence rises, (N, 1).

    The evidence is the channels' sum: the mean activation for A, and what spoke for the class, HiResCAM's map, for g A.
    Of normalized features that is the same at all places; then the largest deviation is made positive.
    """
    total = points.sum(2)
    agreement = (projection * total).sum(1, keepdim=True)
    uncertain = _ROUNDING * projection.norm(dim=1, keepdim=True) * points.abs().sum(2).norm(dim=1, keepdim=True)
    deviation = projection.amax(1, keepdim=True) + projection.amin(1, keepdim=True)
    return torch.where(agreement.abs() > uncertain, agreement, deviation) < 0


def check_weighting(method: str) -> None:
    """Refuse a method that does not come from one shared pass: others run the model on pictures that they change.

    Raises:
        ValueError: It is none of these.
    """
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(METHODS)} for parts of pictures, got {method}")
