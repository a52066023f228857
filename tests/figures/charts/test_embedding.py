import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from gradscape.explain.embedding import Embedding
from gradscape.explain.embedding_quality import EmbeddingQuality
from gradscape.figures.charts.embedding import (
    describe_embeddings,
    figure_embeddings,
    plot_embedding,
    quality_lines,
    quality_table,
)
from gradscape.figures.charts.embedding_marks import MOST_MARKS, class_marks

QUALITY = EmbeddingQuality(
    trustworthiness=0.9712,
    knn_accuracy=0.81,
    knn_accuracy_features=0.885,
    silhouette=0.304,
    silhouette_features=-0.001,
    kl_divergence=0.8,
    neighbors=10,
)


def make_embedding(images: int = 70, classes: int = 14, seed: int = 0, **changes: object) -> Embedding:
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    points = random.normal(size=(classes, 2))[labels] * 30 + random.normal(size=(images, 2)) * 5
    embedding = Embedding(
        points=points.astype(np.float32),
        labels=labels,
        layer="stages.3",
        backend="sklearn",
        perplexity=23.0,
        seed=5,
        quality=QUALITY,
        classes=tuple(f"terrier {label}" for label in range(classes)),
        meta={"model": f"net{seed}", "data": "imagenet", "split": "test", "package": "scikit-learn 1.7"},
    )
    return replace(embedding, **changes)  # type: ignore[arg-type]


def drawn_points(ax: Axes) -> dict[tuple[float, float], str]:
    """Position -> color of every point."""
    found = {}
    for artist in ax.collections:
        assert isinstance(artist, PathCollection)
        for x, y in np.asarray(artist.get_offsets()):
            found[float(x), float(y)] = to_hex(np.asarray(artist.get_facecolor())[0])
    return found


def panels(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.collections]


def legend_of(figure: Figure) -> Legend:
    found = [*figure.legends, *(legend for ax in figure.axes if (legend := ax.get_legend()))]
    assert len(found) == 1
    return found[0]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in legend_of(figure).get_texts()]


def test_every_image_is_drawn_once_where_it_is_in_the_color_of_its_class() -> None:
    embedding = make_embedding()
    drawn = drawn_points(plot_embedding(embedding))
    marks = class_marks(range(14))
    expected = {
        (float(x), float(y)): marks[label].color.lower()
        for (x, y), label in zip(embedding.points, embedding.labels.tolist(), strict=True)
    }
    assert drawn == pytest.approx(expected)
    assert len(drawn) == 70


def test_both_axes_have_one_scale_and_no_ticks() -> None:
    ax = plot_embedding(make_embedding())
    FigureCanvasAgg(ax.figure).draw()  # type: ignore[arg-type]
    box = ax.get_window_extent()
    assert box.width == pytest.approx(box.height)
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert right - left == pytest.approx(high - low)
    assert (len(ax.get_xticks()), len(ax.get_yticks())) == (0, 0)


def test_panels_of_a_page_are_as_flat_as_the_tallest_embedding() -> None:
    flat, flatter = (
        replace(
            make_embedding(), points=(make_embedding().points / np.ptp(make_embedding().points, axis=0)) * (1, height)
        )
        for height in (0.7, 0.6)
    )
    figure, square = figure_embeddings([flat, flatter]), figure_embeddings([make_embedding()] * 2)
    for ax in figure.axes:
        assert ax.get_box_aspect() == pytest.approx(0.7, rel=1e-5)
        assert ax.get_aspect() == 1
    assert figure.get_figheight() < square.get_figheight()


def test_fourteen_classes_have_colors_shapes_and_shades_of_gray_of_their_own() -> None:
    marks = list(class_marks(range(14)).values())
    assert len({mark.color for mark in marks}) == len({mark.shape for mark in marks}) == 14
    assert len({mark.outline for mark in marks}) == 14
    linear = [sum(weight * part**2.2 for weight, part in zip((0.21, 0.72, 0.07), to_rgb(mark.color), strict=True))
              for mark in marks]  # fmt: skip
    assert max(linear) < 0.65  # none vanishes on white
    assert len(set(class_marks(range(MOST_MARKS)).values())) == MOST_MARKS


def test_a_panel_says_how_far_it_can_be_believed() -> None:
    assert plot_embedding(make_embedding()).get_xlabel() == (
        "kNN 81.0 % (88.5 %) · silhouette 0.30 (0.00)\ntrustworthiness 0.971 · KL 0.80"
    )
    single = replace(
        QUALITY,
        knn_accuracy=math.nan,
        knn_accuracy_features=math.nan,
        silhouette=math.nan,
        silhouette_features=math.nan,
        kl_divergence=math.nan,
    )
    assert plot_embedding(make_embedding(quality=single)).get_xlabel() == "trustworthiness 0.971"


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_panels_share_one_legend_that_lies_over_no_point(count: int) -> None:
    figure = figure_embeddings([make_embedding(seed=seed) for seed in range(count)])
    FigureCanvasAgg(figure).draw()
    assert [ax.get_title() for ax in panels(figure)] == [f"net{seed}" for seed in range(count)]
    assert legend_texts(figure) == [f"terrier {label}" for label in range(14)]
    box = legend_of(figure).get_window_extent()
    page = figure.bbox
    assert box.x0 >= 0
    assert box.x1 <= page.x1
    assert box.y1 <= page.y1
    for ax in panels(figure):
        assert not box.overlaps(ax.get_tightbbox())  # type: ignore[arg-type]
        assert ax.get_window_extent().width > 0.28 * page.width


def test_the_same_class_looks_the_same_in_every_panel() -> None:
    first = make_embedding()
    few = replace(first, points=first.points[first.labels > 8], labels=first.labels[first.labels > 8])
    whole, part = panels(figure_embeddings([first, few]))
    both = drawn_points(whole).items() & drawn_points(part).items()
    assert len(both) == len(few)


def test_the_caption_names_networks_that_only_guess() -> None:
    embeddings = [make_embedding(seed=seed) for seed in (0, 1)]
    embeddings[1] = replace(embeddings[1], meta={**embeddings[1].meta, "at_chance": ["b"]})
    caption = " ".join(figure_embeddings(embeddings, ["a", "b"]).get_supxlabel().split())
    assert caption.endswith("answers no better than chance: b")


def test_the_caption_says_what_was_done_once() -> None:
    embeddings = [make_embedding(), make_embedding(seed=1)]
    caption = " ".join(figure_embeddings(embeddings).get_supxlabel().split())
    assert caption == (
        "imagenet (test) · 70 images · 14 classes · stages.3 · t-SNE by scikit-learn 1.7 · perplexity 23 · seed 5 · "
        "kNN: leave-one-out accuracy by 10 neighbors; in brackets among the features"
    )
    default = [replace(one, layer=f"input of {name}") for one, name in zip(embeddings, ("fc", "head"), strict=True)]
    default[1] = replace(default[1], backend="umap", meta={**default[1].meta, "alignment": {}, "package": "umap 1"})
    caption = " ".join(figure_embeddings(default).get_supxlabel().split())
    assert "input of the last linear layer · method: t-SNE by scikit-learn 1.7, UMAP by umap 1 · " in caption
    assert " · turned onto the first · " in caption


def test_titles_and_class_names_stay_as_they_are() -> None:
    embedding = make_embedding(classes=2)
    odd = replace(embedding, classes=("$x$", "a\nb"))
    figure = figure_embeddings([odd], ["$\\frac$"])
    FigureCanvasAgg(figure).draw()
    assert panels(figure)[0].get_title() == "$\\frac$"
    assert legend_texts(figure) == ["$x$", "a b"]


def test_more_classes_than_marks_have_no_legend() -> None:
    figure = figure_embeddings([make_embedding(images=400, classes=MOST_MARKS + 1)])
    assert not figure.legends
    assert " ".join(figure.get_supxlabel().split()).endswith(" · marks repeat")


def test_what_does_not_fit_together_is_refused() -> None:
    embedding = make_embedding()
    with pytest.raises(ValueError, match="`embeddings` must hold at least one embedding, got none"):
        figure_embeddings([])
    with pytest.raises(ValueError, match="`titles` must hold a name for each of the 1 embeddings, got 2"):
        figure_embeddings([embedding], ["a", "b"])
    renamed = replace(embedding, classes=tuple(f"cat {label}" for label in range(14)))
    with pytest.raises(ValueError, match="agree on their classes, but class 0 is 'terrier 0' and 'cat 0'"):
        figure_embeddings([embedding, renamed])
    with pytest.raises(ValueError, match="`marks` must have one for each class, but lacks 12, 13"):
        plot_embedding(embedding, marks=class_marks(range(12)))


def test_figures_of_a_sample_have_their_standard_errors() -> None:
    one = make_embedding()
    errors = {"trustworthiness": 0.0042, "knn_accuracy": 0.011, "silhouette": 0.009, "kl_divergence": 0.031}
    lines = quality_lines(replace(one, quality=replace(one.quality, sample=2000, standard_errors=errors)))
    assert [line.count("±") for line in lines] == [2, 2]
    assert "± 1.1 %" in lines[0]
    assert lines[1].endswith("± 0.031")


def test_umap_counts_neighbors_and_has_no_perplexity() -> None:
    caption = describe_embeddings([make_embedding(backend="umap")])
    assert " · neighbors 23 · " in caption
    assert "perplexity" not in caption


def test_a_table_of_quality_has_the_figures_that_any_embedding_has() -> None:
    one = make_embedding()
    umap = replace(one, quality=replace(one.quality, kl_divergence=float("nan"), standard_errors={"silhouette": 0.012}))
    headings, rows = quality_table([one, umap])
    assert headings[0].startswith("kNN accuracy (")
    assert headings[-1] == "KL divergence"
    assert rows[0][-1] != ""
    assert rows[1][-1] == ""
    assert rows[1][headings.index("silhouette")].endswith(" ± 0.012")
    without, (only,) = quality_table([umap])
    assert "KL divergence" not in without
    assert len(only) == len(without)
