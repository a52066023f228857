"""What a notebook shows of the results."""

import re

import numpy as np

from gradscape.explain import AttentionMap, Embedding, EmbeddingQuality, Faithfulness, FusionMaps, Heatmaps
from gradscape.explain.faithfulness import MEASURES


def _cells(html: str) -> list[str]:
    return re.findall(r"<t[dh]>(.*?)</t[dh]>", html)


def test_heatmaps_show_class_score_probability_and_fault() -> None:
    raw = np.stack([np.arange(6.0).reshape(2, 3), np.zeros((2, 3))]).astype(np.float32)
    shown = Heatmaps(
        raw,
        image_size=(8, 12),
        method="gradcam",
        target_layer="<b>stages</b>.3",
        class_index=np.array([7, 2]),
        score=np.array([1.25, -3], np.float32),
        probability=np.array([0.5, 0.25], np.float32),
        meta={},
    )._repr_html_()
    assert _cells(shown)[5:] == ["0", "7", "1.25", "0.5", "", "1", "2", "-3", "0.25", "all zero"]
    assert "2 maps by gradcam at &lt;b&gt;stages&lt;/b&gt;.3, 2 × 3" in shown


def test_attention_and_fusion_maps_show_their_range() -> None:
    values = np.array([[0.5, 2.0]], np.float32)
    assert _cells(AttentionMap("a.channel", "a", "channel", values)._repr_html_())[4:] == ["(1, 2)", "0.5", "1.25", "2"]
    maps = np.full((1, 2, 3, 4), 2.0, np.float32)
    fused = FusionMaps(maps, 2 * maps, 3 * maps, block="x", names=("before", "part", "<sum>"), meta={})._repr_html_()
    assert _cells(fused)[4:] == ["before", "2", "2", "2", "part", "4", "4", "4", "&lt;sum&gt;", "6", "6", "6"]
    assert "x: 1 images, 2 channels, 3 × 4" in fused


def test_embedding_shows_its_quality() -> None:
    shown = Embedding(
        points=np.zeros((6, 2), np.float32),
        labels=np.zeros(6, np.int64),
        layer="head",
        backend="sklearn",
        perplexity=1.5,
        seed=3,
        quality=EmbeddingQuality(0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 10),
        classes=None,
        meta={},
    )._repr_html_()
    cells = dict(zip(_cells(shown)[2::2], _cells(shown)[3::2], strict=True))
    assert cells["trustworthiness"] == "0.9"
    assert cells["neighbors"] == "10"
    assert "6 images by head: sklearn, perplexity 1.5, seed 3" in shown


def test_faithfulness_shows_means_with_their_errors() -> None:
    arrays = {name: np.array([0.0, 1.0, np.nan]) for name in MEASURES}
    shown = Faithfulness(confidence=np.ones(3), **arrays, faults={2: "all zero"}, meta={})._repr_html_()
    assert _cells(shown)[4:8] == [MEASURES[0], "0.5", "0.5", "2"]
