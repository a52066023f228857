"""The programs that put features into the plane: scikit-learn's t-SNE, openTSNE, UMAP."""

import importlib
import warnings
from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gradscape._names import unknown_name

__all__ = ["BACKENDS", "Backend", "find_backend"]


class PlacedPoints(NamedTuple):
    """Points (n, 2), and the KL divergence that t-SNE ended at, else NaN."""

    points: Float[np.ndarray, "images 2"]
    kl_divergence: float


class Backend(NamedTuple):
    """A program that is installed.

    Attributes:
        package: Its name and version.
        place: From features (n, d), perplexity and seed to their layout; on one thread, since sums that threads
            share come out in another order each time.
    """

    package: str
    place: Callable[[Float[np.ndarray, "images features"], float, int], PlacedPoints]


class _Program(NamedTuple):
    module: str
    package: str
    extra: str | None
    place: Callable[[ModuleType, Float[np.ndarray, "images features"], float, int], PlacedPoints]


def find_backend(name: str) -> Backend:
    """Import a backend by its name.

    Args:
        name: "sklearn" or "opentsne" (t-SNE), or "umap", which takes the perplexity as its number of neighbors.

    Raises:
        ValueError: It is unknown or not installed.
    """
    if name not in BACKENDS:
        error = unknown_name("backend", name, BACKENDS)
        raise ValueError(f"{error}; known: {', '.join(BACKENDS)}")
    program = BACKENDS[name]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # UMAP's import tells what else could be installed
            module = importlib.import_module(program.module)
    except ImportError as problem:
        raise ValueError(
            f"`backend` {name!r} needs {program.package}, which is not installed: "
            f"pip install gradscape[{program.extra}]"
        ) from problem

    def place(features: Float[np.ndarray, "images features"], perplexity: float, seed: int) -> PlacedPoints:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        with threadpool_limits(1):
            return program.place(module, features, perplexity, seed)

    return Backend(f"{program.package} {version(program.package)}", place)


def _place_sklearn(
    module: ModuleType, features: Float[np.ndarray, "images features"], perplexity: float, seed: int
) -> PlacedPoints:
    tsne = module.TSNE(init="pca", learning_rate="auto", perplexity=perplexity, random_state=seed)
    return PlacedPoints(tsne.fit_transform(features).astype(np.float32), float(tsne.kl_divergence_))


def _place_opentsne(
    module: ModuleType, features: Float[np.ndarray, "images features"], perplexity: float, seed: int
) -> PlacedPoints:
    tsne = module.TSNE(initialization="pca", learning_rate="auto", perplexity=perplexity, random_state=seed, n_jobs=1)
    fitted = tsne.fit(features.astype(np.float64))
    return PlacedPoints(np.asarray(fitted, dtype=np.float32), float(fitted.kl_divergence))


def _place_umap(
    module: ModuleType, features: Float[np.ndarray, "images features"], perplexity: float, seed: int
) -> PlacedPoints:
    umap = module.UMAP(n_neighbors=max(2, round(perplexity)), random_state=seed, n_jobs=1)
    return PlacedPoints(umap.fit_transform(features).astype(np.float32), float("nan"))


BACKENDS = {
    "sklearn": _Program("sklearn.manifold", "scikit-learn", None, _place_sklearn),
    "opentsne": _Program("openTSNE", "openTSNE", "opentsne", _place_opentsne),
    "umap": _Program("umap", "umap-learn", "umap", _place_umap),
}
