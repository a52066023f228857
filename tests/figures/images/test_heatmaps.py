from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from torch import Tensor

from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.heatmaps import figure_heatmaps, images_per_page, plot_heatmap
from gradscape.figures.style import SINGLE_COLUMN, save_figure

SIZE = (12, 20)
LABELS = ["$a_cat", "dog", "emu", "fox"]


def make_images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def make_heatmaps(count: int = 3, seed: int = 0, **changes: Any) -> Heatmaps:
    raw = np.random.default_rng(seed).uniform(-1, 2, (count, 3, 5)).astype(np.float32)
    fields: dict[str, Any] = {
        "raw": raw,
        "image_size": SIZE,
        "method": "gradcam",
        "target_layer": "stages.3",
        "class_index": np.arange(count) % 4,
        "score": np.full(count, 2.5, np.float32),
        "probability": np.linspace(0.25, 0.75, count, dtype=np.float32),
        "meta": {"model": "net"},
    }
    return Heatmaps(**{**fields, **changes})


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def panels(figure: Figure) -> list[Axes]:
    """Axes that hold pictures, row by row."""
    shown = [ax for ax in figure.axes if ax.images]
    return sorted(shown, key=lambda ax: (-round(ax.get_position().y0, 6), ax.get_position().x0))


def arrays(ax: Axes) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in ax.images]


def as_drawn(image: Tensor) -> np.ndarray:
    return image.permute(1, 2, 0).numpy()


def gray(image: Tensor) -> np.ndarray:
    red, green, blue = image.numpy()
    return np.stack([0.299 * red + 0.587 * green + 0.114 * blue] * 3, axis=-1)


def told(ax: Axes) -> list[str]:
    """What stands below a panel, or below it and those to its right."""
    return [text.get_text() for text in ax.texts]


def test_an_overlay_is_the_map_over_a_photograph_that_keeps_its_colors_where_the_map_is_low() -> None:
    images, maps = make_images(), make_heatmaps()
    below, above = plot_heatmap(images[2], maps, 2).images
    np.testing.assert_array_equal(np.asarray(above.get_array()), maps.display[2])
    assert above.get_clim() == (0, 1)
    shown, heat = np.asarray(below.get_array()), maps.display[2]
    low, high = heat == 0, heat > 1 / 3
    assert low.any()
    assert high.any()
    np.testing.assert_allclose(shown[low], as_drawn(images[2])[low], atol=1e-6)
    np.testing.assert_allclose(shown[high], gray(images[2])[high], atol=1e-6)


def test_heat_is_the_more_transparent_the_lower_and_never_hides_the_image() -> None:
    _, above = plot_heatmap(make_images()[0], make_heatmaps(), 0).images
    covers = above.get_cmap()(np.linspace(0, 1, 11))[:, 3]
    assert covers[0] == 0
    assert (np.diff(covers) > 0).all()
    assert covers[-1] < 0.7


def test_heat_goes_evenly_from_dark_to_light() -> None:
    _, above = plot_heatmap(make_images()[0], make_heatmaps(), 0).images
    lightness = above.get_cmap()(np.linspace(0, 1, 11))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(lightness) > 0).all()


def test_a_line_runs_where_the_map_is_one_half_of_its_range() -> None:
    ax = plot_heatmap(make_images()[0], make_heatmaps(), 0)
    (line,) = ax.collections
    assert isinstance(line, QuadContourSet)
    assert list(line.levels) == [0.5]


def test_a_background_in_gray_has_no_color() -> None:
    below, _ = plot_heatmap(make_images()[1], make_heatmaps(), 1, background="gray").images
    np.testing.assert_allclose(np.asarray(below.get_array()), gray(make_images()[1]), atol=1e-6)


@pytest.mark.parametrize("look", [{"style": "heatmap"}, {"background": "none"}])
def test_a_heatmap_alone_is_opaque_and_hides_no_image(look: dict[str, Any]) -> None:
    (image,) = plot_heatmap(make_images()[1], make_heatmaps(), 1, **look).images
    assert (image.get_cmap()(np.linspace(0, 1, 11))[:, 3] == 1).all()


def test_a_background_where_there_is_none_to_choose_is_refused() -> None:
    with pytest.raises(ValueError, match=r'`background` is for images drawn as "overlay" or "masked"'):
        figure_heatmaps(make_images(), make_heatmaps(), style="heatmap", background="gray")


@pytest.mark.parametrize("background", ["gray", "color", "none"])
def test_a_masked_image_shows_as_much_of_the_image_as_the_map_says(background: Any) -> None:
    images, maps = make_images(), make_heatmaps()
    (shown,) = arrays(plot_heatmap(images[1], maps, 1, style="masked", background=background))
    whole = as_drawn(images[1])
    rest = {"gray": 0.6 + 0.4 * gray(images[1]), "color": 0.3 * whole, "none": 0 * whole}[background]
    for row, column in np.ndindex(*SIZE):
        share = maps.display[1, row, column]
        expected = share * whole[row, column] + (1 - share) * rest[row, column]
        np.testing.assert_allclose(shown[row, column], expected, rtol=1e-4, atol=1e-6)


def test_a_masked_image_is_nowhere_darker_than_the_image_unless_asked() -> None:
    images, maps = make_images(), make_heatmaps()
    (shown,) = arrays(plot_heatmap(images[1], maps, 1, style="masked"))
    luma = np.array([0.299, 0.587, 0.114])
    assert (shown @ luma >= as_drawn(images[1]) @ luma - 1e-6).all()


def test_images_of_few_pixels_are_drawn_without_blur() -> None:
    assert {image.get_interpolation() for image in plot_heatmap(make_images()[0], make_heatmaps(), 0).images} == {
        "nearest"
    }


@pytest.mark.parametrize(("value", "fault"), [(0.0, "all zero"), (-1.0, "nothing positive"), (np.nan, "not finite")])
@pytest.mark.parametrize("style", ["overlay", "heatmap", "masked"])
def test_a_map_with_a_fault_is_a_pale_image_with_the_reason(style: Any, value: float, fault: str) -> None:
    maps = make_heatmaps()
    maps.raw[1] = value
    ax = plot_heatmap(make_images()[1], maps, 1, style=style)
    assert [" ".join(text.get_text().split()) for text in ax.texts] == [f"no map: {fault}"]
    (shown,) = arrays(ax)
    np.testing.assert_allclose(shown, 0.6 + 0.4 * gray(make_images()[1]), atol=1e-6)


def test_one_method_stands_beside_its_images() -> None:
    images, maps = make_images(), make_heatmaps()
    figure = drawn(figure_heatmaps(images, maps, names=["x", "y", "z"], labels=LABELS))
    assert figure.get_figwidth() == SINGLE_COLUMN
    shown = panels(figure)
    assert len(shown) == 6
    for number in range(3):
        original, overlay = shown[2 * number : 2 * number + 2]
        np.testing.assert_array_equal(arrays(original)[0], as_drawn(images[number]))
        np.testing.assert_array_equal(arrays(overlay)[1], maps.display[number])
    assert [ax.get_xlabel() for ax in shown[::2]] == ["x", "y", "z"]
    assert [told(ax) for ax in shown[1::2]] == [["$a_cat\n25.0 %"], ["dog\n50.0 %"], ["emu\n75.0 %"]]
    assert [ax.get_title() for ax in shown[:2]] == ["", "Grad-CAM"]


def test_panels_keep_the_proportion_of_the_images() -> None:
    figure = drawn(figure_heatmaps(make_images(), make_heatmaps()))
    for ax in panels(figure):
        box = ax.get_window_extent()
        assert box.height / box.width == pytest.approx(12 / 20, rel=1e-6)


def test_the_caption_tells_model_method_layer_and_scale() -> None:
    figure = figure_heatmaps(make_images(), make_heatmaps())
    assert " ".join(figure.get_supxlabel().split()) == (
        "net · Grad-CAM · target layer stages.3 · maps over their images, with a line at one half · "
        "each map on its own scale · below the maps the class explained and its probability"
    )


def test_several_models_and_methods_stand_row_by_row_with_titles() -> None:
    found = {
        model: {method: make_heatmaps(2, seed=2 * a + b, method=method) for b, method in enumerate(("m1", "m2", "m3"))}
        for a, model in enumerate(("$net", "other"))
    }
    images = make_images(2)
    figure = drawn(figure_heatmaps(images, found, labels={"$net": LABELS, "other": None}))
    visible = [ax for ax in panels(figure) if ax.get_visible()]
    assert len(visible) == 2 * (1 + 2 * 3)
    first, second = visible[:4], visible[4:7]  # the first image's rows, of which only one shows the image
    assert [ax.get_title() for ax in first] == ["", "m1", "m2", "m3"]
    assert (first[1].get_ylabel(), second[0].get_ylabel()) == ("$net", "other")
    assert [told(ax) for ax in (*first[1:], *second)] == [["$a_cat · 25.0 %"], [], [], ["class 0 · 25.0 %"], [], []]
    for place, method in enumerate(("m1", "m2", "m3")):
        np.testing.assert_array_equal(arrays(first[1 + place])[1], found["$net"][method].display[0])
        np.testing.assert_array_equal(arrays(second[place])[1], found["other"][method].display[0])


def test_images_as_columns_are_the_same_panels_turned() -> None:
    images, found = make_images(), {"m1": make_heatmaps(), "m2": make_heatmaps(seed=5)}
    rows = panels(drawn(figure_heatmaps(images, found)))
    columns = panels(drawn(figure_heatmaps(images, found, images_as="columns")))
    for image in range(3):
        for step in range(3):
            for one, other in zip(arrays(rows[3 * image + step]), arrays(columns[3 * step + image]), strict=True):
                np.testing.assert_array_equal(one, other)
    assert [columns[3 * step].get_ylabel() for step in range(3)] == ["", "m1", "m2"]


def test_more_than_six_columns_go_into_a_second_band() -> None:
    shown = panels(drawn(figure_heatmaps(make_images(7), make_heatmaps(7), images_as="columns")))
    visible = [ax for ax in shown if ax.get_visible()]
    assert len(visible) == 14
    np.testing.assert_array_equal(arrays(visible[8 + 3])[1], make_heatmaps(7).display[4])


def test_a_shared_scale_makes_models_and_images_comparable() -> None:
    strong, weak = make_heatmaps(), make_heatmaps()
    weak.raw[:] = strong.raw / 4
    images = make_images()
    shown = panels(drawn(figure_heatmaps(images, {"a": {"m": strong}, "b": {"m": weak}}, scale="shared")))
    for number in range(3):
        first, second = (arrays(ax)[1] for ax in shown[3 * number + 1 : 3 * number + 3])
        np.testing.assert_allclose(second, first / 4, rtol=1e-5, atol=1e-7)
    cells = np.stack([arrays(ax)[1] for ax in shown[1::3]])
    assert 0.5 < cells.max() <= 1  # one at the layer's size, less where resized


def test_a_page_of_some_images_keeps_the_scale_of_all() -> None:
    maps = make_heatmaps()
    (shown,) = panels(drawn(figure_heatmaps(make_images(), maps, shown=[2], scale="shared")))[1:]
    np.testing.assert_array_equal(arrays(shown)[1], maps.shared_display[2])


def test_masked_images_alone_have_no_color_bar() -> None:
    assert len(figure_heatmaps(make_images(), make_heatmaps(), style="masked").axes) == 6
    assert len(figure_heatmaps(make_images(), make_heatmaps(), style=["masked", "heatmap"]).axes) == 9 + 1


def test_an_own_score_is_shown_as_it_is() -> None:
    maps = make_heatmaps(class_index=np.full(3, -1), probability=np.full(3, np.nan, np.float32))
    assert told(panels(figure_heatmaps(make_images(), maps))[1]) == ["score\n2.5"]


@pytest.mark.slow
def test_a_class_is_told_once_for_a_picture_and_a_network() -> None:
    found = {model: {method: make_heatmaps() for method in ("m1", "m2")} for model in ("a", "b")}
    for count, heatmaps in ((3, found["a"]), (6, found)):
        for images_as in ("rows", "columns"):
            shown = panels(figure_heatmaps(make_images(), heatmaps, images_as=images_as))
            said = [text for ax in shown if ax.get_visible() for text in told(ax)]
            assert len(said) == count
            assert sorted({text.split()[0] for text in said}) == ["class"]


def test_maps_of_other_classes_each_tell_theirs() -> None:
    found = {"of cat": make_heatmaps(1), "of dog": make_heatmaps(1, class_index=np.ones(1, int))}
    shown = panels(figure_heatmaps(make_images(1), found, labels=LABELS))
    assert [told(ax) for ax in shown] == [[], ["$a_cat\n25.0 %"], ["dog\n25.0 %"]]


@pytest.mark.slow
@pytest.mark.parametrize("images_as", ["rows", "columns"])
def test_networks_and_methods_are_named_in_full_however_narrow_the_panels(images_as: Any) -> None:
    names = ("upanet16", "upanet16_final_gap")
    found = {model: {method: make_heatmaps(6) for method in ("gradcam", "gradcam++")} for model in names}
    figure = drawn(figure_heatmaps(make_images(6), found, images_as=images_as))
    titles = [text for ax in panels(figure) for text in (ax.get_ylabel(), ax.get_title()) if text]
    along = [text.get_text() for text in figure.texts if text.get_rotation() == 90]
    flat = {"".join(title.split()) for title in (*titles, *along)}
    assert flat >= {*names, "Grad-CAM", "Grad-CAM++"}
    assert not any("…" in title for title in flat)
    assert sorted(along) == ([] if images_as == "rows" else sorted(names))  # once for all rows of a network
    assert all(text.get_window_extent().x0 >= 0 for text in figure.texts)
    assert all(ax.yaxis.label.get_window_extent().x0 >= 0 for ax in panels(figure) if ax.get_ylabel())


@pytest.mark.slow
@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("methods", [1, 2, 5])
@pytest.mark.parametrize("images_as", ["rows", "columns"])
def test_a_full_page_is_no_higher_than_a_papers(models: int, methods: int, images_as: Any) -> None:
    count = images_per_page(models, methods, images_as)
    if not count:  # eleven panels below each other
        assert (images_as, models, methods) == ("columns", 2, 5)
        return
    square: dict[str, Any] = {"image_size": (16, 16)}
    found = {f"n{a}": {f"m{b}": make_heatmaps(count, **square) for b in range(methods)} for a in range(models)}
    page = figure_heatmaps(torch.rand(count, 3, 16, 16), found, images_as=images_as)
    assert page.get_figheight() < 9.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"style": []}, "`style` must name at least one style, got none"),
        ({"names": ["x"]}, "`names` must hold a name for each of the 3 images, got 1"),
        ({"heatmaps": {}}, "`heatmaps` must hold the maps of at least one method"),
        ({"heatmaps": make_heatmaps(2)}, "`heatmaps` must hold a map for each of the 3 images"),
        ({"heatmaps": make_heatmaps(image_size=(8, 8))}, "must be of images of 12 × 20 pixels, got 8 × 8"),
        (
            {"heatmaps": {"a": {"m": make_heatmaps()}, "b": {"n": make_heatmaps()}}},
            "`heatmaps` must hold the same methods for each model",
        ),
    ],
)
def test_what_does_not_fit_is_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        figure_heatmaps(**{"images": make_images(), "heatmaps": make_heatmaps(), **changes})


def test_pages_are_written_as_pdf_and_png(tmp_path: Path) -> None:
    names = ["a very long name of a file that fits nowhere"] * 3
    for path in save_figure(figure_heatmaps(make_images(), make_heatmaps(), names=names), tmp_path / "page"):
        assert path.stat().st_size > (10 if path.suffix == ".txt" else 1000)


@pytest.mark.parametrize(("count", "label"), [(1, "share of range"), (4, "share of the map's own range")])
def test_the_label_of_the_bar_fits_onto_the_page(count: int, label: str) -> None:
    images = make_images(count)
    figure = drawn(figure_heatmaps(images, {"a": make_heatmaps(count), "b": make_heatmaps(count, 1)}))
    (said,) = (ax.yaxis.label for ax in figure.axes if ax.get_ylabel().startswith("share"))
    assert said.get_text() == label
    box = said.get_window_extent()
    assert 0 <= box.y0 < box.y1 <= figure.bbox.height
