"""Deep feature factorization: Collins, Achanta, Süsstrunk, "Deep Feature Factorization for Concept Discovery", 2018.

arXiv:1806.10206.

Differs from the paper:

- It factorizes features after a ReLU. Of other layers each channel's smallest feature, where below 0, is subtracted
  first and kept beside the concepts.
- A concept's size is arbitrary, since the map can be divided by what the concept is multiplied with. Here a concept is
  the features at the place where it is strongest: its map's maximum over all images is 1.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._arrays import load_result, save_arrays
from gradscape._left_as_before import left_as_before
from gradscape._provenance import Provenance, current_versions
from gradscape.explain.explainable import ForwardFunction, call_model, called_by, explainable, images_for
from gradscape.explain.features import copied, listening
from gradscape.explain.layer_layouts import settle_layout
from gradscape.explain.layout import MapLayout, as_maps
from gradscape.explain.target_layer import layer_names, resolve_layer

__all__ = ["FeatureFactors", "factorize_features"]

_ARRAYS = {
    "concepts": Float[np.ndarray, "concepts channels"],
    "maps": Float[np.ndarray, "images concepts height width"],
    "offset": Float[np.ndarray, "channels"],
}
_OPTIONAL = {"class_scores": Float[np.ndarray, "concepts classes"]}


class _FactorEntry(TypedDict):
    relative_error: float
    target_layer: str
    image_size: list[int]


@dataclass(frozen=True, eq=False)
class FeatureFactors:
    """What the features of N images have in common: A[n, :, y, x] ≈ offset + Σ_k maps[n, k, y, x] · concepts[k].

    Attributes:
        concepts: (K, C) float32, at least 0: a direction of feature space each, the strongest concept first.
        maps: (N, K, h, w) float32, at least 0: how much of each concept each place holds; each concept's maximum is 1.
        offset: (C,) float32, at most 0: each channel's smallest feature where below 0.
        class_scores: (K, classes) float32, what the head says of a place that holds one concept alone; None without.
        relative_error: Norm of what the factors do not explain over the norm of A − offset.
        image_size: (H, W) of the images in pixels.
        target_layer: Name of the layer whose features are factorized.
        meta: Provenance.
    """

    concepts: np.ndarray
    maps: np.ndarray
    offset: np.ndarray
    class_scores: np.ndarray | None
    relative_error: float
    image_size: tuple[int, int]
    target_layer: str
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.maps.ndim != 4 or self.concepts.shape != (self.maps.shape[1], *self.offset.shape):
            raise ValueError(
                "`maps` (images, concepts, height, width), `concepts` (concepts, channels) and `offset` (channels,) "
                f"must fit together, got {self.maps.shape}, {self.concepts.shape}, {self.offset.shape}"
            )
        if self.class_scores is not None and len(self.class_scores) != len(self.concepts):
            raise ValueError(f"`class_scores` must have a row for each of the {len(self.concepts)} concepts")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file."""
        arrays = {name: getattr(self, name) for name in ("concepts", "maps", "offset")}
        if self.class_scores is not None:
            arrays["class_scores"] = self.class_scores
        named = {"relative_error": self.relative_error, "target_layer": self.target_layer}
        save_arrays(path, arrays, {**self.meta, "factors": {**named, "image_size": list(self.image_size)}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "FeatureFactors":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no feature factors.
        """

        def made(arrays: dict[str, np.ndarray], named: _FactorEntry, meta: Provenance) -> FeatureFactors:
            height, width = named["image_size"]
            known: dict[str, Any] = {"class_scores": None, **arrays, **named, "image_size": (height, width)}
            return cls(**known, meta=meta)

        called = "feature factors"
        return load_result(path, "factors", made, called=called, entry=_FactorEntry, arrays=_ARRAYS, optional=_OPTIONAL)


@left_as_before
def factorize_features(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    components: int,
    target_layer: str | nn.Module | None = None,
    head: Callable[[Tensor], Tensor] | None = None,
    layout: MapLayout | None = None,
    forward: ForwardFunction | None = None,
    seed: int = 0,
) -> FeatureFactors:
    """Find concepts that recur over images: a non-negative factorization of all their places' features.

    Args:
        model: Any model.
        images: As the model takes them; several with something in common show what it is.
        components: Number of concepts, K.
        target_layer: The layer, by name or module; None for the automatic one.
        head: From pooled features (K, C) to scores (K, classes), such as the model's last linear layer.
        layout: How the layer gives its places, as `heatmaps` takes it; None to have it measured.
        forward: (model, images) -> output, where the model takes more than images.
        seed: Of the solver's start.

    Raises:
        TypeError: If `images`, `target_layer`, its output or what `head` gives is of the wrong kind.
        ValueError: If `components` does not fit the features, there is no such layer or it does not run, or features
            are not finite or all the same.

    Source: Collins et al. 2018, section 3.
    """
    model = called_by(model, forward)
    if images.ndim != 4:
        raise ValueError(f"`images` must be (images, channels, height, width), got the shape {tuple(images.shape)}")
    name, layer = resolve_layer(model, target_layer, images, layout=layout)
    height, width = images.shape[2:]
    with explainable(model), torch.no_grad():
        features = _features(model, images_for(model, images), layer)
        known = settle_layout(layout, features, model, images, layer=layer, layers=layer_names(model))
        maps = as_maps(features, known).float()
        factors = _factorized(maps.cpu().numpy(), components, seed)
        scores = None if head is None else _scored(head, factors, like=features)
    return FeatureFactors(
        **factors,
        class_scores=scores,
        image_size=(height, width),
        target_layer=name,
        meta={"seed": seed, "versions": current_versions("scikit-learn")},
    )


def _features(model: nn.Module, images: Tensor, layer: nn.Module) -> Tensor:
    """What the layer gives, at its last run."""
    features: list[Any] = []
    with listening({"": layer}, lambda _name, output: features.append(copied(output))):
        call_model(model, images)
    if not features:
        raise ValueError("`target_layer` must run in a forward pass, and does not; choose a layer that does")
    if not isinstance(features[-1], Tensor):
        raise TypeError(f"`target_layer` must give a tensor, got {type(features[-1]).__name__}; choose another layer")
    return features[-1]


def _factorized(maps: np.ndarray, components: int, seed: int) -> dict[str, Any]:
    """The factors of maps (N, C, h, w), scaled and sorted."""
    from sklearn.decomposition import NMF

    count, channels, height, width = maps.shape
    if not 0 < components <= min(channels, count * height * width):
        most = min(channels, count * height * width)
        raise ValueError(
            f"`components` must be in 1 … {most}, as many as there are channels or places, got {components}"
        )
    if not np.isfinite(maps).all():
        bad = np.flatnonzero(~np.isfinite(maps).all(axis=(1, 2, 3))).tolist()
        raise ValueError(f"`target_layer` gives features that are not finite for the images {bad}; leave these out")
    offset = np.minimum(maps.min(axis=(0, 2, 3)), 0)
    places = maps.transpose(0, 2, 3, 1).reshape(-1, channels) - offset
    if not places.any():
        raise ValueError("`target_layer` gives the same features everywhere, without anything in common to find")
    solver = NMF(components, init="nndsvda", solver="cd", max_iter=2000, random_state=seed)
    presence = solver.fit_transform(places)
    largest = presence.max(axis=0)
    concepts = solver.components_ * largest[:, None]
    presence = presence / np.where(largest > 0, largest, 1)
    order = np.argsort(-np.linalg.norm(concepts, axis=1) * np.linalg.norm(presence, axis=0), kind="stable")
    stacked = presence[:, order].reshape(count, height, width, components).transpose(0, 3, 1, 2)
    return {
        "concepts": concepts[order].astype(np.float32),
        "maps": np.ascontiguousarray(stacked, np.float32),
        "offset": offset.astype(np.float32),
        "relative_error": float(solver.reconstruction_err_ / np.linalg.norm(places)),
    }


def _scored(head: Callable[[Tensor], Tensor], factors: Mapping[str, Any], *, like: Tensor) -> np.ndarray:
    """What the head says of each concept."""
    pooled = torch.from_numpy(factors["concepts"] + factors["offset"]).to(like)
    scores: Any = head(pooled)
    if not isinstance(scores, Tensor) or scores.ndim != 2 or len(scores) != len(pooled):
        came = f"the shape {tuple(scores.shape)}" if isinstance(scores, Tensor) else type(scores).__name__
        raise TypeError(f"`head` must give scores (concepts, classes) for features {tuple(pooled.shape)}, got {came}")
    return scores.float().cpu().numpy()
