import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mpl_toolkits.mplot3d.art3d import Poly3DCollection  # type: ignore[import-untyped]
from sklearn.preprocessing import MinMaxScaler

from gradscape._arrays import load_arrays
from gradscape.data import load_split
from gradscape.figures.caption import caption_of
from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.models import count_parameters, create_model, load_checkpoint
from gradscape.studies.papers.catalog import FIGURES, make_figure
from gradscape.studies.papers.figure import Drawing
from gradscape.studies.papers.from_surfaces import SurfaceFigure, SurfaceInputs
from tests.figures.results import make_surface
from tests.studies.networks import save_network

AXIS = np.linspace(-1, 1, 5)
LANDSCAPES = {name: figure for name, figure in FIGURES.items() if isinstance(figure, SurfaceFigure)}
Save = Callable[..., Path]


def bowl(steepness: float, span: float = 1.0) -> np.ndarray:
    alphas, betas = np.meshgrid(span * AXIS, span * AXIS)
    return np.asarray(0.25 + steepness * (alphas**2 + 3 * betas**2 + alphas))


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a surface of a network as `gradscape landscape` leaves it."""

    def write(model: str, steepness: float = 1.0, span: float = 1.0, folder: str = "", **meta: object) -> Path:
        loss = bowl(steepness, span)
        surface = make_surface(loss, loss / loss.max() / 2, alphas=span * AXIS, betas=span * AXIS, model=model, **meta)
        path = tmp_path / (folder or model) / "surface.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        surface.save(path)
        return path

    return write


def shown(folder: Path, name: str) -> tuple[dict[str, np.ndarray], str]:
    arrays, meta = load_arrays(folder / f"{name.replace(':', '_')}.npz")
    return arrays, str(meta["caption"])


def test_ten_landscapes_have_the_papers_ranges_values_and_scalings() -> None:
    assert {
        int(name.partition(":")[2]): (figure.span, figure.value, figure.scale, figure.with_original, figure.steps)
        for name, figure in LANDSCAPES.items()
    } == {
        8: (1, "loss", "minmax", False, 50),
        9: (1, "error", "raw", False, 50),
        12: (0.0375, "loss", "minmax-column", True, 50),
        13: (0.0375, "loss", "minmax-column", True, 50),
        14: (1, "loss", "raw", False, 50),
        15: (1, "loss", "minmax-column", True, 50),
        16: (1, "loss", "minmax-column", True, 50),
        17: (1, "loss", "minmax-column", True, 50),
        18: (1, "error", "raw", False, 50),
        20: (0.0375, "error", "raw", False, 50),
    }


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The surface of a network, which is no sum of functions of alpha and of beta."""
    folder = tmp_path_factory.mktemp("evaluated")
    path = save_network(folder, "upanet16", image_size=8)
    return make_figure("upanets:13", [path], folder, data="digits", steps=3, limit=32)[0]


def drawn_panels(drawing: Drawing) -> list[np.ndarray]:
    """What the cells of each panel show."""
    meshes = [one for ax in drawing.figure.axes for one in ax.collections if isinstance(one, Poly3DCollection)]
    return [np.asarray(mesh.get_array()) for mesh in meshes]


@pytest.mark.slow
def test_beside_the_original_the_scaled_surface_has_another_shape_and_the_caption_says_why(evaluated: Path) -> None:
    drawing = LANDSCAPES["upanets:13"].make(SurfaceInputs(name="upanets:13", paths=[evaluated]))
    original, scaled = drawn_panels(drawing)
    assert np.corrcoef(original, scaled)[0, 1] < 0.999
    assert drawing.arrays["upanet16.loss_scaled"].max(axis=0) == pytest.approx(1)
    assert " · right: each column min-max scaled by itself, which changes the shape · " in caption_of(drawing.figure)
    assert drawing.said.startswith("scaled by column, as all figures that have the original beside: in the paper ")


def test_scaled_as_a_whole_both_panels_are_one_picture_and_the_caption_says_so(evaluated: Path) -> None:
    drawing = LANDSCAPES["upanets:13"].scaled_as("minmax").make(SurfaceInputs(name="upanets:13", paths=[evaluated]))
    original, scaled = drawn_panels(drawing)
    assert np.corrcoef(original, scaled)[0, 1] == pytest.approx(1, abs=1e-9)
    said = "--scale minmax instead of minmax-column: scaled as a whole: both panels are the same picture with other "
    assert drawing.said.startswith(said)


def test_the_original_can_stand_alone(evaluated: Path) -> None:
    drawing = LANDSCAPES["upanets:13"].scaled_as("raw").make(SurfaceInputs(name="upanets:13", paths=[evaluated]))
    assert len(drawn_panels(drawing)) == 1
    assert "the original alone: in the paper the scaled surface stands beside it" in drawing.said
    assert "upanet16.loss_scaled" not in drawing.arrays


def test_any_landscape_takes_a_scale_and_no_other_figure_does(save: Save, tmp_path: Path) -> None:
    paths = [save(network, 1 + number) for number, network in enumerate(LANDSCAPES["upanets:18"].networks)]
    make_figure("upanets:18", paths, tmp_path, scale="minmax-column")
    arrays, caption = shown(tmp_path, "upanets:18")
    assert arrays["upanet16_exc_spa.error_scaled"].max() == 1
    assert "--scale minmax-column instead of raw: each surface scaled by column, so that shapes are others" in caption
    with pytest.raises(ValueError, match="`--scale` says nothing to upanets:10, drawn from a published table: leave"):
        make_figure("upanets:10", [], tmp_path, scale="minmax")
    with pytest.raises(ValueError, match=r"unknown `--scale` 'log'; known: raw, minmax, minmax-column"):
        make_figure("upanets:18", paths, tmp_path, scale="log")


def test_the_densenet_is_the_one_for_cifar_with_a_growth_rate_of_12() -> None:
    with torch.device("meta"):
        net = create_model(LANDSCAPES["upanets:12"].networks[0], num_classes=10, image_size=32)
    assert count_parameters(net) == 1_000_618


@pytest.mark.slow
@pytest.mark.parametrize("name", LANDSCAPES)
def test_surfaces_that_are_there_are_drawn_with_their_numbers(name: str, save: Save, tmp_path: Path) -> None:
    figure = LANDSCAPES[name]
    paths = [save(network, 1 + number, figure.span) for number, network in enumerate(figure.networks)]
    written = make_figure(name, paths, tmp_path / "out")
    stem = name.replace(":", "_")
    assert [path.name for path in written] == [f"{stem}.pdf", f"{stem}.png", f"{stem}.txt", f"{stem}.npz"]
    arrays, caption = shown(tmp_path / "out", name)
    for number, network in enumerate(figure.networks):
        key, loss = network.partition("@")[0], bowl(1 + number, figure.span)
        expected = loss if figure.value == "loss" else loss / loss.max() / 2
        np.testing.assert_allclose(arrays[f"{key}.{figure.value}"], expected, rtol=1e-6)
        np.testing.assert_array_equal(arrays[f"{key}.alphas"], figure.span * AXIS)
        if figure.scale == "minmax":
            scaled = MinMaxScaler().fit_transform(expected.reshape(-1, 1)).reshape(5, 5)
            np.testing.assert_allclose(arrays[f"{key}.{figure.value}_scaled"], scaled, atol=1e-6)
        if figure.scale == "minmax-column":
            np.testing.assert_allclose(arrays[f"{key}.loss_scaled"], MinMaxScaler().fit_transform(expected), atol=1e-6)
    assert f"span ±{figure.span:g}" in caption
    assert "other than in the paper: digits for cifar10, 5 × 5 points for 50 × 50, not all images" in caption
    assert caption.endswith("trained on CIFAR-10, 50 samples an axis")


def test_a_run_folder_of_several_networks_gives_the_papers_in_its_order(save: Save, tmp_path: Path) -> None:
    for steepness, model in enumerate(("upanet16", "resnet20", "upanet16_final_gap"), 1):
        save(model, steepness, folder=f"run/{model}")
    make_figure("upanets:14", [tmp_path / "run"], tmp_path)
    arrays, caption = shown(tmp_path, "upanets:14")
    assert next(iter(arrays)) == "upanet16_final_gap.alphas"
    assert set(arrays) == {
        f"{model}.{key}"
        for model in ("upanet16", "upanet16_final_gap")
        for key in ("alphas", "betas", "loss", "loss_stderr")
    }
    assert "UPANets16 final GAP: loss at the origin" in caption


def test_other_networks_and_ranges_are_drawn_and_said(save: Save, tmp_path: Path) -> None:
    make_figure("upanets:13", [save("resnet20")], tmp_path)
    assert (
        "other than in the paper: resnet20 for upanet16, digits for cifar10, another range than ±0.0375"
        in shown(tmp_path, "upanets:13")[1]
    )


def test_what_is_like_the_paper_is_not_said_to_be_other(tmp_path: Path) -> None:
    axis = np.linspace(-1, 1, 50)
    loss = np.add.outer(axis**2, axis**2)
    surface = make_surface(loss, loss / 4, alphas=axis, betas=axis, model="upanet16_exc_gap", data="cifar10")
    surface.save(tmp_path / "surface.h5")
    make_figure("upanets:16", [tmp_path / "surface.h5"], tmp_path)
    said = "other than in the paper: not all images of the split (the paper names no number) · in the paper"
    assert said in shown(tmp_path, "upanets:16")[1]


def test_two_surfaces_of_one_network_are_told_apart(save: Save, tmp_path: Path) -> None:
    paths = [save("upanet16", seed, folder=str(seed), seed=0) for seed in (1, 2)]
    make_figure("upanets:14", paths, tmp_path)
    arrays, caption = shown(tmp_path, "upanets:14")
    np.testing.assert_allclose(arrays["upanet16 (2).loss"], bowl(2), rtol=1e-6)
    assert "upanet16 (1): loss at the origin" in caption


@pytest.mark.slow
def test_checkpoints_are_evaluated_with_the_figures_range_and_kept(tmp_path: Path) -> None:
    paths = [save_network(tmp_path, name, image_size=8) for name in ("upanet16_final_gap", "upanet16")]
    reported: list[str] = []
    written = make_figure(
        "upanets:8",
        paths,
        tmp_path / "out",
        data="digits",
        steps=3,
        limit=32,
        seed=5,
        report=lambda job, _progress: reported.append(job),
    )
    assert set(reported) == {"upanet16_final_gap", "upanet16"}
    folder = tmp_path / "out" / "surfaces" / "digits_train_span1_steps3_seed5"
    assert written[:2] == [folder / name / "surface.h5" for name in ("upanet16_final_gap", "upanet16")]
    arrays, caption = shown(tmp_path / "out", "upanets:8")
    model = load_checkpoint(paths[1])
    images = load_split("digits", "train", limit=32, seed=5, image_size=8)
    axis = [-1.0, 0.0, 1.0]
    expected = evaluate_surface(model, images, random_directions(model, seed=5), axis, axis, precision="fp32")
    np.testing.assert_allclose(arrays["upanet16.loss"], expected.loss, rtol=1e-2)
    assert "test accuracy: upanet16_final_gap not recorded, upanet16 not recorded" in caption
    assert "3 × 3 points for 50 × 50" in caption


@pytest.mark.slow
def test_surfaces_evaluated_for_one_figure_serve_the_next(save: Save, tmp_path: Path) -> None:
    path = save_network(tmp_path, "upanet16_exc_gap", image_size=8)
    options = {"data": "digits", "steps": 2, "limit": 32}
    first = make_figure("upanets:16", [path], tmp_path, **options)[0]  # type: ignore[arg-type]
    before = Surface.load(first)
    total: list[int] = []
    make_figure("upanets:16", [path], tmp_path, report=lambda _job, now: total.append(now.done), **options)  # type: ignore[arg-type]
    assert min(total, default=5) == 5  # the origin and all four points are there from the start
    np.testing.assert_array_equal(Surface.load(first).loss, before.loss)


def test_without_anything_the_commands_that_make_it_are_told(tmp_path: Path) -> None:
    expected = (
        "upanets:12 must be given 1 network such as cifar_densenet121@growth_rate=12 and a data set; or its surface by "
        "`gradscape landscape --span 0.0375 --steps 50`. Make a network with `gradscape train "
        "cifar_densenet121@growth_rate=12 --data cifar10 --recipe upanets_ablation -o runs/cifar_densenet121` and give "
        "it with `--data cifar10`, "
        "or its surface with `gradscape landscape runs/cifar_densenet121/model.safetensors --data cifar10 "
        "--span 0.0375 --steps 50 -o runs/cifar_densenet121_span0.0375`"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        make_figure("upanets:12", [], tmp_path)


def test_missing_surfaces_and_checkpoints_are_told_with_their_commands(save: Save, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"upanets:8 must be given 2 networks .*; got 1\. Make .* `gradscape train upanet16 "
    ):
        make_figure("upanets:8", [save("upanet16_final_gap")], tmp_path)
    with pytest.raises(ValueError, match=r"upanets:13 must be given 1 network .*; got 2: leave some out"):
        make_figure("upanets:13", [save("a"), save("b")], tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"there is no surface .*nothing\. Make a network with `gradscape train"
    ):
        make_figure("upanets:13", [tmp_path / "nothing"], tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint none\.safetensors; make one with `gradscape train upanet16 "
    ):
        make_figure("upanets:13", [Path("none.safetensors")], tmp_path, data="digits")
    with pytest.raises(ValueError, match=r"`CKPT` must be 2 networks such as .*; upanets:8 got 1"):
        make_figure("upanets:8", [Path("none.safetensors")], tmp_path, data="digits")


def test_what_does_not_belong_together_is_refused(save: Save, tmp_path: Path) -> None:
    checkpoint = save_network(tmp_path, "upanet16", image_size=8)
    with pytest.raises(ValueError, match="upanets:8 must be made of checkpoints or of surfaces, got both"):
        make_figure("upanets:8", [checkpoint, save("upanet16")], tmp_path)
    with pytest.raises(ValueError, match="surfaces of upanets:8 must have one grid, to be compared"):
        make_figure("upanets:8", [save("upanet16_final_gap"), save("upanet16", span=0.5)], tmp_path)
    with pytest.raises(
        ValueError, match="`--data D` must name the images on which the surfaces of upanets:13 are eval"
    ):
        make_figure("upanets:13", [checkpoint], tmp_path)
    with pytest.raises(
        ValueError, match="`--data` and `--steps` say nothing to upanets:13, drawn from surfaces that are"
    ):
        make_figure("upanets:13", [save("upanet16")], tmp_path, data="digits", steps=5)
    with pytest.raises(ValueError, match="`--classes` says nothing to upanets:13, drawn from surfaces"):
        make_figure("upanets:13", [save("upanet16")], tmp_path, classes="3")
