"""The programs that put features into the plane: scikit-learn's t-SNE, openTSNE, UMAP."""

import importlib
import logging
import warnings
from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from gradscape._names import unknown_name
from gradscape.explain.embedding_distances import equal_rows
from gradscape.explain.embedding_divergence import Divergence, measure_divergence

__all__ = ["BACKENDS", "Backend", "find_backend"]

_MOST_EXACT = 2_000  # images that the exact method puts into the plane within a minute or so
_OFF = 0.1  # share by which the divergence that a tree says may be too low
_log = logging.getLogger(__name__)


class PlacedPoints(NamedTuple):
    """Points (n, 2), and for t-SNE the KL divergence of these, else NaN, with its standard error."""

    points: Float[np.ndarray, "images 2"]
    kl_divergence: float
    kl_error: float = 0.0


class Neighbors(NamedTuple):
    """How many neighbors count, and where these are not as many as asked, why."""

    used: float
    reason: str


class Backend(NamedTuple):
    """A program that is installed.

    Attributes:
        package: Its name and version.
        allow: From the perplexity that is asked for and the number of images to what the program takes.
        place: From features (n, d), perplexity and seed to their layout; on one thread, since sums that threads
            share come out in another order each time.
    """

    package: str
    allow: Callable[[float, int], Neighbors]
    place: Callable[[Float[np.ndarray, "images features"], float, int], PlacedPoints]


class _Program(NamedTuple):
    module: str
    package: str
    extra: str | None
    allow: Callable[[float, int], Neighbors]
    place: Callable[[ModuleType, Float[np.ndarray, "images features"], float, int], PlacedPoints]


def find_backend(name: str) -> Backend:
    """Import a backend by its name.

    Args:
        name: "sklearn" or "opentsne" (t-SNE), or "umap", which takes the perplexity as its number of neighbors.

    Raises:
        ValueError: It is unknown or not installed.
    """
    if name not in BACKENDS:
        error = unknown_name("backend", name, BACKENDS, listed=False)
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
            placed = program.place(module, features, perplexity, seed)
        if not np.isfinite(placed.points).all():
            raise ValueError(f"`backend` {name!r} puts images at points that are not finite: choose another one")
        return placed

    return Backend(f"{program.package} {version(program.package)}", program.allow, place)


def _allow_tsne(perplexity: float, count: int) -> Neighbors:
    most = (count - 1) / 3
    if perplexity <= most:
        return Neighbors(perplexity, "")
    reason = f"perplexity {perplexity:g} is lowered to {most:.4g}: it must stay below a third of the {count} images"
    return Neighbors(most, reason)


def _allow_umap(neighbors: float, count: int) -> Neighbors:
    used = min(max(2, round(neighbors)), count - 1)
    if used == neighbors:
        return Neighbors(used, "")
    return Neighbors(
        used,
        f"{neighbors:g} neighbors become {used}: UMAP takes a whole number from 2 to {count - 1} for {count} images",
    )


def _place_sklearn(
    module: ModuleType, features: Float[np.ndarray, "images features"], perplexity: float, seed: int
) -> PlacedPoints:
    options = {"init": "pca", "learning_rate": "auto", "perplexity": perplexity, "random_state": seed}
    tsne = module.TSNE(**options)
    points = tsne.fit_transform(features).astype(np.float32)
    measured = measure_divergence(features, points, perplexity, seed=seed)
    if not _misled_by_coincidence(points, float(tsne.kl_divergence_), measured):
        return PlacedPoints(points, *measured)
    if len(points) > _MOST_EXACT:
        raise ValueError(
            f"`backend` 'sklearn' says a KL divergence of {tsne.kl_divergence_:.2f} where its picture has "
            f"{measured.value:.2f}, since its tree takes images of equal features for one: choose 'opentsne'"
        )
    _log.warning(
        "images of equal features mislead scikit-learn's tree (KL divergence %.2f, its picture's %.2f): its exact "
        "method takes over",
        tsne.kl_divergence_,
        measured.value,
    )
    points = module.TSNE(**options, method="exact").fit_transform(features).astype(np.float32)
    return PlacedPoints(points, *measure_divergence(features, points, perplexity, seed=seed))


def _misled_by_coincidence(points: Float[np.ndarray, "images 2"], said: float, measured: Divergence) -> bool:
    """Whether points lie on each other, which repel each other in no tree, and so many that it says too little.

    What a tree says of a picture without such points is a little too much, since it leaves out far neighbors.
    """
    low = said < (1 - _OFF) * measured.value - 3 * measured.standard_error
    return low and len(np.unique(equal_rows(points.round(5)))) < len(points)


def _place_opentsne(
    module: ModuleType, features: Float[np.ndarray, "images features"], perplexity: float, seed: int
) -> PlacedPoints:
    options = {"initialization": "pca", "learning_rate": "auto", "perplexity": perplexity, "random_state": seed}

    def fitted(method: str) -> tuple[Float[np.ndarray, "images 2"], float]:
        found = module.TSNE(**options, n_jobs=1, negative_gradient_method=method).fit(features.astype(np.float64))
        return np.asarray(found, dtype=np.float32), float(found.kl_divergence)

    points, said = fitted("auto")
    measured = measure_divergence(features, points, perplexity, seed=seed)
    if _misled_by_coincidence(points, said, measured):
        _log.warning(
            "images of equal features mislead openTSNE's tree (KL divergence %.2f, its picture's %.2f): interpolation "
            "takes over",
            said,
            measured.value,
        )
        points, _ = fitted("fft")
        measured = measure_divergence(features, points, perplexity, seed=seed)
    return PlacedPoints(points, *measured)


def _place_umap(
    module: ModuleType, features: Float[np.ndarray, "images features"], neighbors: float, seed: int
) -> PlacedPoints:
    umap = module.UMAP(n_neighbors=round(neighbors), random_state=seed, n_jobs=1)
    return PlacedPoints(umap.fit_transform(features).astype(np.float32), float("nan"))


BACKENDS = {
    "sklearn": _Program("sklearn.manifold", "scikit-learn", None, _allow_tsne, _place_sklearn),
    "opentsne": _Program("openTSNE", "openTSNE", "opentsne", _allow_tsne, _place_opentsne),
    "umap": _Program("umap", "umap-learn", "umap", _allow_umap, _place_umap),
}
