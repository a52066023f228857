from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.explained_images import figure_explained_images

IMAGES = torch.rand(2, 3, 24, 36, generator=torch.Generator().manual_seed(0))


def maps(seed: int, layer: str = "features") -> Heatmaps:
    return Heatmaps(
        np.random.default_rng(seed).uniform(0.1, 1, (2, 4, 6)).astype(np.float32),
        image_size=(24, 36),
        method="gradcam++",
        target_layer=layer,
        class_index=np.array([seed, 4]),
        score=np.ones(2, dtype=np.float32),
        probability=np.array([0.25, 0.5], dtype=np.float32),
        meta={},
    )


def draw(**options: Any) -> Figure:
    given = {"names": ["kite", "owl"], "labels": {"net": list("abcde"), "net + attention": None}, **options}
    return figure_explained_images(IMAGES, {"net": maps(0), "net + attention": maps(1)}, **given)


def rows(figure: Figure) -> np.ndarray:
    panels = np.empty(10, dtype=object)
    panels[:] = [ax for ax in figure.axes if ax.images][:10]
    return panels.reshape(2, 5)


def shown(ax: Axes) -> np.ndarray:
    return np.asarray(ax.images[-1].get_array())


def test_every_row_is_an_image_then_heatmap_and_masked_image_of_each_model() -> None:
    for number, row in enumerate(rows(draw())):
        image = IMAGES[number].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(shown(row[0]), image, atol=1e-6)
        for model in (0, 1):
            display = maps(model).display[number]
            heat, masked = row[1 + 2 * model : 3 + 2 * model]
            np.testing.assert_allclose(shown(heat), display, atol=1e-6)
            np.testing.assert_allclose(shown(masked), image * display[..., None], atol=1e-6)


def test_class_and_probability_stand_below_each_pair_and_models_above() -> None:
    panels = rows(draw())
    texts = [[text.get_text() for text in ax.texts] for ax in panels[:, [1, 3]].ravel()]
    assert texts == [["a\n25.0 %", "net"], ["class 1\n25.0 %", "net + attention"], ["e\n50.0 %"], ["class 4\n50.0 %"]]
    assert [ax.get_title() for ax in panels[0]] == ["input", "heatmap", "masked", "heatmap", "masked"]
    assert [ax.get_xlabel() for ax in panels[:, 0]] == ["kite", "owl"]


def test_texts_below_and_above_a_pair_are_centered_over_both_panels() -> None:
    figure = draw()
    first, second = (ax.get_position() for ax in rows(figure)[0, 3:])
    middle = (first.x0 + second.x1) / 2 * float(figure.get_figwidth())
    for text in rows(figure)[0, 3].texts:
        x, _ = text.get_transform().transform(text.get_position())
        assert x / figure.dpi == pytest.approx(middle, abs=0.02)


def test_target_layers_that_differ_are_told_for_each_model() -> None:
    alike = draw().get_supxlabel()
    assert "target layer features ·" in alike
    other = {"a": maps(0, "stages.3"), "b": maps(1)}
    figure = figure_explained_images(IMAGES, other, names=["kite", "owl"], labels={})
    assert "target layer stages.3 of a, features of b" in figure.get_supxlabel()


def test_a_map_that_must_not_be_painted_is_told_in_words() -> None:
    broken = maps(0)
    broken.raw[1] = np.nan
    figure = figure_explained_images(IMAGES, {"net": broken}, names=["kite", "owl"], labels={})
    said = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert sum("not finite" in " ".join(text.split()) for text in said) == 2


def test_other_numbers_of_maps_or_names_are_refused() -> None:
    with pytest.raises(ValueError, match="must have one for each of the 2 images"):
        draw(names=["kite"])
    with pytest.raises(ValueError, match="at least one model, got none"):
        figure_explained_images(IMAGES, {}, names=["kite", "owl"], labels={})
