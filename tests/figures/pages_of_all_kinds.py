"""A page of every kind, of results that carry what must never be seen on one: where their data lie."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from gradscape.explain.attention_map import AttentionMap
from gradscape.explain.decision_regions import DecisionMap
from gradscape.explain.embedding import Embedding
from gradscape.explain.embedding_quality import EmbeddingQuality
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures import (
    figure_attention,
    figure_batch_weights,
    figure_channel_weights,
    figure_comparison,
    figure_confusion,
    figure_decisions,
    figure_embeddings,
    figure_fusion,
    figure_heatmaps,
    figure_landscape,
    figure_line,
    figure_measures,
    figure_scaled,
    figure_topology,
    figure_training,
)
from gradscape.landscape import Surface
from gradscape.landscape.metrics.measure import Measure
from tests.figures.results import ALPHAS, BETAS, make_line, make_surface

SECRET = "/home/reviewed-author/projects"
DATA = f"folder:{SECRET}/garden_birds"

META = {"model": "net", "title": "net", "data": DATA, "split": "test", "images": 3}
IMAGES = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
_RANDOM = np.random.default_rng(0)


def surface(**meta: Any) -> Surface:
    """A surface of data that lie in a secret place."""
    alphas, betas = np.meshgrid(ALPHAS, 2 * BETAS)
    error = 0.1 + 0.3 * np.abs(alphas)
    return make_surface(0.5 + 3 * alphas**2 + 9 * betas**2, error, betas=2 * BETAS, data=DATA, **meta)


def heatmaps() -> Heatmaps:
    """Heatmaps of three images."""
    return Heatmaps(
        raw=_RANDOM.uniform(-1, 2, (3, 4, 4)).astype(np.float32),
        image_size=(16, 16),
        method="gradcam",
        target_layer="stages.3",
        class_index=np.arange(3),
        score=np.full(3, 2.5, np.float32),
        probability=np.linspace(0.25, 0.75, 3, dtype=np.float32),
        meta=META,
    )


def attention() -> dict[str, AttentionMap]:
    """Maps, weights of channels and weights of a batch."""
    return {
        "a.mask": AttentionMap("a.mask", "a", "mask", _RANDOM.random((3, 4, 4, 4), dtype=np.float32)),
        "a.channel": AttentionMap("a.channel", "a", "channel", _RANDOM.random((3, 8), dtype=np.float32)),
        "a.batch": AttentionMap("a.batch", "a", "batch weights", _RANDOM.random(3, dtype=np.float32)),
    }


def fusion() -> FusionMaps:
    """Features of three images."""
    before, part, fused = (_RANDOM.random((3, 4, 4, 4), dtype=np.float32) for _ in range(3))
    return FusionMaps(before, part, fused, "stages.1", ("x", "attention", "x + attention"), META)


def decisions(*, norm: str = "", shift: int = 0) -> DecisionMap:
    """A map of three images, or along the gradient of one."""
    alphas, betas = np.linspace(-1, 5, 7), np.linspace(-1, 3, 5)
    across, up = np.meshgrid(alphas, betas)
    index = (across + shift > 1).astype(np.int64) + (up > 2) * 2
    count = 1 if norm else 3
    return DecisionMap(
        alphas=alphas,
        betas=betas,
        class_index=index,
        confidence=np.linspace(0.4, 1, 35, dtype=np.float32).reshape(5, 7),
        loss=(1 + across**2 + up**2).astype(np.float32) * (1 if norm else np.float32(np.nan)),
        excess=(np.hypot(across, up) - 2.5).astype(np.float32),
        positions=np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 2.0]])[:count],
        images=IMAGES.numpy()[:count],
        image_class=np.arange(count),
        image_confidence=np.full(count, 0.9, np.float32),
        norm=norm,
        label=1 if norm else -1,
        classes={0: "cat", 1: "dog", 2: "bee"},
        meta={**META, "seed": 0, "image_names": ["x.png", "y.png", "z.png"]},
    )


def embedding() -> Embedding:
    """Thirty images of three classes."""
    return Embedding(
        points=_RANDOM.normal(size=(30, 2)).astype(np.float32),
        labels=np.arange(30) % 3,
        layer="stages.3",
        backend="sklearn",
        perplexity=5.0,
        seed=0,
        quality=EmbeddingQuality(0.9, 0.95, 0.5, 0.4, 0.9, 0.5, 10),
        classes=("a", "b", "c"),
        meta={**META, "package": "scikit-learn 1.7"},
    )


def _measures() -> Figure:
    found = {name: {"roughness": Measure("roughness", 2.0, 1.5, 2.6, "1/d²")} for name in ("net", "other")}
    return figure_measures(found, caption="lines: 95 % intervals")


def _training() -> Figure:
    epochs = np.arange(5.0)
    columns = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "learning_rate", "seconds")
    return figure_training({"epoch": epochs, **dict.fromkeys(columns, 1 / (1 + epochs))})


def _line() -> Figure:
    alphas = np.linspace(-1, 1, 9)
    return figure_line(make_line(2 + alphas**2, 0.2 + 0.1 * alphas**2, alphas, data=DATA))


PAGES: dict[str, Callable[[], Figure]] = {
    "contour": lambda: figure_landscape(surface(), kind="contour"),
    "filled": lambda: figure_landscape(surface(), kind="filled"),
    "heat": lambda: figure_landscape(surface(), kind="heat"),
    "surface": lambda: figure_landscape(surface(), kind="surface"),
    "difference": lambda: figure_landscape(surface().difference(surface()).field(("net", "other"))),
    "scaled": lambda: figure_scaled(surface()),
    "comparison": lambda: figure_comparison([surface(), surface(model="other")]),
    "reliefs": lambda: figure_comparison([surface(), surface(model="other")], kind="surface"),
    "topology": lambda: figure_topology(surface().topology()),
    "line": _line,
    "measures": _measures,
    "training": _training,
    "heatmaps": lambda: figure_heatmaps(IMAGES, heatmaps()),
    "attention": lambda: figure_attention(IMAGES[0], attention()),
    "channels": lambda: figure_channel_weights(attention()),
    "batch": lambda: figure_batch_weights(IMAGES, attention()["a.batch"], names=["x", "y", "z"]),
    "fusion": lambda: figure_fusion(fusion(), image=IMAGES[0]),
    "decisions": lambda: figure_decisions({"net": decisions()}),
    "embedding": lambda: figure_embeddings([embedding()]),
    "confusion": lambda: figure_confusion(np.array([[8, 2], [1, 9]]), names=["cat", "dog"], title="net"),
}
