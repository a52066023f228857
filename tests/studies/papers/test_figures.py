import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape._arrays import load_arrays
from gradscape.data import load_split
from gradscape.data.pictures import load_canvases, load_pictures
from gradscape.explain.cam import heatmaps
from gradscape.explain.features import feature_maps
from gradscape.explain.fusion import fusion_maps
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from gradscape.studies.papers import ba2m, residual_attention, spanet, ulsam, upanets
from gradscape.studies.papers.catalog import FIGURES, HEADINGS, find_figure, make_figure, tabulate_figures
from gradscape.studies.papers.checkpoints import describe_networks
from gradscape.studies.papers.figure import PaperFigure
from gradscape.studies.papers.from_networks import NetworkFigure
from gradscape.studies.papers.wording import readable, short_name
from tests.studies.networks import save_network

Saved = Callable[..., Path]
MOBILENETS = (
    "mobilenet_v1",
    "mobilenet_v1+ulsam@after=8:9,replace=11",
    "mobilenet_v2",
    "mobilenet_v2+ulsam@replace=14",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Checkpoints of small networks, each made once."""
    folder, made = tmp_path_factory.mktemp("networks"), dict[str, Path]()

    def save(name: str, image_size: int = 16) -> Path:
        if name not in made:
            scores = {"test_accuracy": 0.125}
            made[name] = save_network(folder, name, image_size=image_size, data={"name": "digits"}, scores=scores)
        return made[name]

    return save


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    """Two pictures that are neither square nor alike."""
    rng = np.random.default_rng(3)
    paths = [tmp_path / "red_kite.png", tmp_path / "barn_owl.png"]
    for path, size in zip(paths, ((40, 24), (18, 30)), strict=True):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return paths


def caption(folder: Path, name: str) -> str:
    return str(load_arrays(folder / f"{name.replace(':', '_')}.npz")[1]["caption"])


def arrays_of(folder: Path, name: str) -> dict[str, np.ndarray]:
    return load_arrays(folder / f"{name.replace(':', '_')}.npz")[0]


def test_the_registry_holds_every_figure_that_the_papers_files_export() -> None:
    for paper in (upanets, spanet, ulsam, residual_attention, ba2m):
        exported = {id(one) for one in map(vars(paper).get, paper.__all__) if isinstance(one, PaperFigure)}
        name = paper.__name__.rpartition(".")[2]
        registered = {id(one) for key, one in FIGURES.items() if key.startswith(f"{name}:")}
        assert exported <= registered == {id(one) for one in paper.FIGURES.values()}


def test_every_data_figure_of_the_five_papers_is_there_in_order() -> None:
    numbers = {
        "upanets": (1, *range(7, 21)),
        "spanet": range(3, 8),
        "ulsam": (3,),
        "residual_attention": (8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29, 30, 31),
        "ba2m": (1, 3, 5),
    }
    assert list(FIGURES) == [f"{paper}:{number}" for paper, several in numbers.items() for number in several]


def networks_figure(name: str) -> NetworkFigure:
    figure = find_figure(name)
    assert isinstance(figure, NetworkFigure)
    return figure


@pytest.mark.parametrize("name", [name for name in FIGURES if isinstance(FIGURES[name], NetworkFigure)])
def test_networks_that_the_registry_names_can_be_built_and_have_the_attention(name: str) -> None:
    figure = networks_figure(name)
    with torch.device("meta"):
        built = [create_model(network, image_size=32) for network in figure.networks]
    assert any(isinstance(module, figure.attention) for network in built for module in network.modules())


def test_the_table_tells_what_each_figure_needs_and_its_command() -> None:
    rows = {row[0]: dict(zip(HEADINGS, row, strict=True)) for row in tabulate_figures()}
    assert rows["spanet:5"]["needs"] == (
        "3 networks such as resnet20, resnet20+se, resnet20+spa_a; pictures, 3 in the paper, 8 at most"
    )
    assert rows["spanet:5"]["made by"] == "gradscape figure spanet:5 CKPT... --images PATH... -o out"
    assert rows["upanets:19"]["needs"] == "1 network such as upanet16"
    assert rows["ba2m:1"]["needs"].startswith("2 to 6 networks such as ")
    assert rows["ba2m:1"]["made by"].endswith("--data D -o out")
    assert rows["upanets:8"]["needs"] == (
        "2 networks such as upanet16_final_gap, upanet16 and a data set; "
        "or their surfaces by `gradscape landscape --span 1 --steps 50`"
    )
    assert rows["upanets:10"]["needs"].startswith("nothing; networks to lay over the table")
    assert all(row["made by"].startswith(f"gradscape figure {name} ") for name, row in rows.items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["upanets:1", "upanets:7"])
def test_figures_of_upanets_hold_the_fusion_of_stage_2_block_0(
    name: str, saved: Saved, photographs: list[Path], tmp_path: Path
) -> None:
    written = make_figure(name, [saved("upanet16")], tmp_path / "out", images=photographs[:1])
    stem = name.replace(":", "_")
    assert [path.name for path in written] == [f"{stem}.pdf", f"{stem}.png", f"{stem}.txt", f"{stem}.npz"]
    assert all(path.stat().st_size > 1000 for path in written if path.suffix != ".txt")
    images = load_pictures(photographs[:1], 16).images
    maps = fusion_maps(load_checkpoint(saved("upanet16")), images, block="layer2.0")
    arrays = arrays_of(tmp_path / "out", name)
    np.testing.assert_array_equal(arrays["images"], images.numpy())
    np.testing.assert_allclose(arrays["convolution"], maps.before[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(arrays["CPA"], maps.part[0], rtol=1e-4, atol=1e-4)
    assert arrays["CPA"].shape == (32, 16, 16)
    if name == "upanets:7":
        np.testing.assert_allclose(arrays["sum"], maps.fused[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("network", ["upanet16", "upanet16_conv"])
def test_the_red_pixel_is_the_weighted_sum_of_the_orange_ones_at_every_place(
    network: str, saved: Saved, photographs: list[Path], tmp_path: Path
) -> None:
    make_figure("upanets:1", [saved(network)], tmp_path, images=photographs[:1])
    arrays = arrays_of(tmp_path, "upanets:1")
    channel, row, column = arrays["red"]
    summed = np.einsum("c,chw->hw", arrays["weights"], arrays["input"]) + arrays["constant"]
    np.testing.assert_allclose(summed, arrays["CPA"][channel], atol=1e-4)
    assert arrays["CPA"][channel, row, column] == arrays["CPA"][:8].max()
    assert "as in the authors' code" in caption(tmp_path, "upanets:1")


@pytest.mark.slow
def test_noise_reaches_the_bare_network_and_comes_from_the_seed(saved: Saved, tmp_path: Path) -> None:
    for seed in (0, 1):
        make_figure("upanets:19", [saved("upanet16")], tmp_path / str(seed), seed=seed)
    first, second = (arrays_of(tmp_path / str(seed), "upanets:19") for seed in (0, 1))
    assert first["images"].min() < -2
    assert not np.array_equal(first["images"], second["images"])
    noise = torch.from_numpy(second["images"])
    maps = fusion_maps(load_checkpoint(saved("upanet16")).network, noise, block="layer2.0")
    np.testing.assert_allclose(second["sum"], maps.fused[0], rtol=1e-4, atol=1e-4)
    assert "noise of seed 1" in caption(tmp_path / "1", "upanets:19")


@pytest.mark.slow
def test_heatmaps_of_three_networks_are_gradcams_and_their_accuracy_is_told(
    saved: Saved, photographs: list[Path], tmp_path: Path
) -> None:
    networks = ("resnet20", "resnet20+se", "resnet20+spa_a")
    make_figure("spanet:5", [saved(name) for name in networks], tmp_path, images=photographs)
    arrays = arrays_of(tmp_path, "spanet:5")
    images = load_pictures(photographs, 16).images
    for name in networks:
        maps = heatmaps(load_checkpoint(saved(name)), images, method="gradcam")
        np.testing.assert_allclose(arrays[f"{name}.raw"], maps.raw, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(arrays[f"{name}.display"], maps.display, atol=1e-3)
        np.testing.assert_array_equal(arrays[f"{name}.class_index"], maps.class_index)
    said = caption(tmp_path, "spanet:5")
    assert "trained on digits, test accuracy: resnet20 12.5 %, resnet20+se 12.5 %, resnet20+spa_a 12.5 %" in said
    assert said.endswith("in the paper: ResNet-50, SE-ResNet-50 and SPA-ResNet-50 on three images of ImageNet")


def test_scale_weights_are_those_of_the_state_dict_from_fine_to_global(tmp_path: Path) -> None:
    net = create_model("resnet20+spa_a", num_classes=10, image_size=16)
    weights = {name: one for name, one in net.named_parameters() if name.endswith("spa.weight")}
    for number, weight in enumerate(weights.values()):
        weight.data.view(3).copy_(torch.tensor([1.0, -2.0, 3.0]) + number)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, net, name="resnet20+spa_a", num_classes=10, image_size=16, mean=(0.5,) * 3, std=(0.5,) * 3)
    make_figure("spanet:6", [path], tmp_path)
    arrays = arrays_of(tmp_path, "spanet:6")
    assert len(arrays) == len(weights) == 9
    for number, one in enumerate(arrays.values()):
        np.testing.assert_array_equal(one.ravel(), np.array([1, -2, 3]) + number)
    assert "resnet20+spa_a not recorded" in caption(tmp_path, "spanet:6")


@pytest.mark.slow
def test_boxes_of_two_detectors_are_those_that_they_find_on_whole_pictures(
    photographs: list[Path], tmp_path: Path
) -> None:
    names, score = ("fcos:resnet18", "fcos:resnet18+spa_a"), {"test_ap": 0.125}
    paths = [save_network(tmp_path, name, image_size=64, scores=score) for name in names]
    make_figure("spanet:7", paths, tmp_path, images=photographs)
    arrays, images = arrays_of(tmp_path, "spanet:7"), load_canvases(photographs, 64).images
    np.testing.assert_array_equal(arrays["images"], images.numpy())
    for name, path in zip(names, paths, strict=True):
        with torch.no_grad():
            found = load_checkpoint(path)(images[1:])[0]
        np.testing.assert_allclose(arrays[f"{name}.1.boxes"], found["boxes"], rtol=1e-3, atol=1e-2)
        np.testing.assert_array_equal(arrays[f"{name}.1.classes"], found["classes"])
    assert "test AP: fcos:resnet18 12.5 %, fcos:resnet18+spa_a 12.5 %" in caption(tmp_path, "spanet:7")
    make_figure("spanet:6", paths[1:], tmp_path)
    assert next(iter(arrays_of(tmp_path, "spanet:6"))) == "detector.backbone.body.layer1.0.spa"


def test_boxes_of_what_is_no_detector_are_refused(saved: Saved, photographs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`CKPT` must be detectors, whose boxes are drawn, got resnet20"):
        make_figure("spanet:7", [saved("resnet20+spa_a")], tmp_path, images=photographs)
    with pytest.raises(ValueError, match="spanet:7 shows whole pictures: name their files with `--images"):
        make_figure("spanet:7", [saved("resnet20+spa_a")], tmp_path, data="digits")


@pytest.mark.slow
def test_scale_weights_of_several_trainings_are_told_together(tmp_path: Path) -> None:
    about: dict[str, Any] = {"recipe": {"name": "digits"}, "data": {"name": "digits", "images": 9}}
    paths = [
        save_network(tmp_path / f"seed{seed}", "resnet20+spa_a", seed=seed, scores={"seed": seed, "epoch": 2}, **about)
        for seed in range(2)
    ]
    make_figure("spanet:6", paths, tmp_path)
    assert len(arrays_of(tmp_path, "spanet:6")) == 2 * 9
    assert "mean of 2 trainings with 95 % intervals" in caption(tmp_path, "spanet:6")
    stranger = save_network(tmp_path / "other", "resnet20+spa_a", scores={"seed": 1, "epoch": 2})
    with pytest.raises(ValueError, match="must be one network, or trainings that differ in nothing but the seed"):
        make_figure("spanet:6", [paths[0], stranger], tmp_path)


@pytest.mark.slow
def test_mobilenets_are_explained_by_gradcam_plus_plus(saved: Saved, photographs: list[Path], tmp_path: Path) -> None:
    networks = [re.sub(r"(mobilenet_v\d)", r"\1@width=0.25", name) for name in MOBILENETS]
    make_figure("ulsam:3", [saved(name, image_size=64) for name in networks], tmp_path, images=photographs)
    arrays = arrays_of(tmp_path, "ulsam:3")
    images = load_pictures(photographs, 64).images
    for name in networks:
        maps = heatmaps(load_checkpoint(saved(name)), images, method="gradcam++")
        np.testing.assert_allclose(arrays[f"{short_name(name)}.raw"], maps.raw, rtol=1e-4, atol=1e-4)
    said = caption(tmp_path, "ulsam:3")
    assert "mobilenet_v2@width=0.25+ulsam@replace=14 12.5 %" in said
    assert "painted bunting, hooded oriole, scarlet tanager, Bohemian waxwing" in said


@pytest.mark.slow
def test_embeddings_take_fifty_images_of_each_chosen_class(saved: Saved, tmp_path: Path) -> None:
    networks = [saved("resnet20"), saved("resnet20+ba2m")]
    make_figure("ba2m:1", networks, tmp_path, data="digits", split="train", classes="2,5")
    arrays = arrays_of(tmp_path, "ba2m:1")
    assert {label: int((arrays["labels"] == label).sum()) for label in np.unique(arrays["labels"])} == {2: 50, 5: 50}
    assert arrays["resnet20+ba2m.points"].shape == (100, 2)
    assert "digits (train) · 100 images · 2 classes" in caption(tmp_path, "ba2m:1")


@pytest.mark.slow
def test_features_are_those_after_the_second_stage(saved: Saved, photographs: list[Path], tmp_path: Path) -> None:
    networks = ("resnet20", "resnet20+ba2m")
    make_figure("ba2m:3", [saved(name) for name in networks], tmp_path, images=photographs[1:])
    arrays = arrays_of(tmp_path, "ba2m:3")
    assert "alone, an image has BA²M's mean weight" in caption(tmp_path, "ba2m:3")
    images = load_pictures(photographs[1:], 16).images
    for name in networks:
        expected = feature_maps(load_checkpoint(saved(name)), images, layer="layer2")
        np.testing.assert_allclose(arrays[name], expected[0], rtol=1e-4, atol=1e-4)
        assert arrays[name].shape == (32, 8, 8)


@pytest.mark.slow
def test_pictures_from_a_data_set_are_as_many_as_in_the_paper_and_named_by_class(saved: Saved, tmp_path: Path) -> None:
    networks = [saved(name) for name in ("resnet20", "resnet20+se", "resnet20+spa_a")]
    make_figure("spanet:5", networks, tmp_path, data="digits", classes="7,3", seed=4)
    arrays, meta = load_arrays(tmp_path / "spanet_5.npz")
    assert meta["image_names"] == ["3", "7", "3"]
    assert "pictures of digits (test) at 16 pixels, chosen by seed 4" in meta["caption"]
    everything = torch.cat([images for images, _ in load_split("digits", "test", image_size=16)]).numpy()
    assert all((everything == image).all(axis=(1, 2, 3)).any() for image in arrays["images"])


@pytest.mark.slow
def test_two_networks_of_one_name_are_told_apart(saved: Saved, photographs: list[Path], tmp_path: Path) -> None:
    twins = [save_network(tmp_path / folder, "resnet20+ba2m", seed=len(folder)) for folder in ("a", "bb")]
    renamed = [path.rename(path.with_name(f"{number}.safetensors")) for number, path in enumerate(twins)]
    make_figure("ba2m:3", renamed, tmp_path, images=photographs[:1])
    assert set(arrays_of(tmp_path, "ba2m:3")) == {"images", "a-0", "bb-1"}
    assert "test accuracy: a-0 (resnet20+ba2m) not recorded, bb-1 (resnet20+ba2m) not recorded" in caption(
        tmp_path, "ba2m:3"
    )


def test_different_training_data_are_told_for_each_network(saved: Saved, tmp_path: Path) -> None:
    other = save_network(
        tmp_path, "resnet20+se", data={"name": "folder:some/where/pets", "images": 1200}, scores={"test_accuracy": 0.5}
    )
    models = {path.parent.name: load_checkpoint(path) for path in (saved("resnet20"), other)}
    assert describe_networks(models) == (
        "test accuracy: resnet20 12.5 % (trained on digits), "
        "resnet20+se 50.0 % (trained on 1,200 images of folder:pets)"
    )


def test_no_accuracy_is_called_that_of_test_images_where_it_is_not(tmp_path: Path) -> None:
    about: dict[str, Any] = {"data": {"name": "npz:my/own.npz", "images": 8}, "scores": {"test_accuracy": 0.5}}
    held = {"name": "npz:my/own.npz", "split": "held out", "images": 2, "share": 0.2, "seed": 0}
    for name, meta, said in (
        ("before", about, "accuracy: resnet20 50.0 % of the images that it was trained with"),
        (
            "today",
            {**about, "test": held},
            "test accuracy with its 95 % interval over images: resnet20 50.0 % (9.5 to 90.5) of 2 images held out of "
            "npz:own.npz (20 % of each class, seed 0)",
        ),
    ):
        model = load_checkpoint(save_network(tmp_path / name, "resnet20", **meta))
        assert describe_networks({"resnet20": model}) == f"trained on 8 images of npz:own.npz, {said}"


def test_names_of_pictures_are_read_without_endings() -> None:
    assert [readable(name) for name in ("red_kite_1.jpg", "St. Bernard", "a.b.jpeg")] == [
        "red kite 1", "St. Bernard", "a.b",
    ]  # fmt: skip


def test_an_unknown_figure_is_refused_with_near_matches() -> None:
    with pytest.raises(ValueError, match=r"upanets:71.*upanets:7"):
        find_figure("upanets:71")


def test_too_few_checkpoints_are_refused_with_the_command_for_the_next(saved: Saved, tmp_path: Path) -> None:
    expected = (
        "`CKPT` must be 3 networks such as resnet20, resnet20+se, resnet20+spa_a; spanet:5 got 1. "
        "Make one with `gradscape train resnet20+se --data cifar10 --recipe spanet -o runs/resnet20+se`"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        make_figure("spanet:5", [saved("resnet20")], tmp_path, data="digits")
    with pytest.raises(ValueError, match=r"must be 2 to 6 networks such as .*; ba2m:1 got 1"):
        make_figure("ba2m:1", [saved("resnet20")], tmp_path, data="digits")


def test_too_many_checkpoints_are_refused(saved: Saved, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be 1 network such as upanet16; upanets:19 got 2: leave some out"):
        make_figure("upanets:19", [saved("upanet16")] * 2, tmp_path)


def test_a_missing_checkpoint_is_told_with_the_command_that_makes_it(saved: Saved, tmp_path: Path) -> None:
    paths = [saved("resnet20"), tmp_path / "none.safetensors"]
    with pytest.raises(
        FileNotFoundError, match=r"no checkpoint .*none\.safetensors; make one with `.* resnet20\+ba2m "
    ):
        make_figure("ba2m:3", paths, tmp_path, data="digits")


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("upanets:19", "ChannelPixelAttention"),
        ("spanet:6", "SpatialPyramidAttention or SpatialPyramidGate"),
        ("ba2m:3", "BA2M"),
    ],
)
def test_networks_without_the_papers_attention_are_refused(
    name: str, needed: str, saved: Saved, tmp_path: Path
) -> None:
    data = "digits" if name == "ba2m:3" else None
    with pytest.raises(ValueError, match=f"must have a network with {needed} for {name}, got resnet20; make one with"):
        make_figure(name, [saved("resnet20")], tmp_path, data=data)


def test_what_is_shown_must_be_given_once_and_where_it_is_looked_at(
    saved: Saved, photographs: list[Path], tmp_path: Path
) -> None:
    upanet = [saved("upanet16")]
    with pytest.raises(ValueError, match=r"`--images PATH...` or `--data D` must say what upanets:7 shows: give one"):
        make_figure("upanets:7", upanet, tmp_path)
    with pytest.raises(ValueError, match="give one of them"):
        make_figure("upanets:7", upanet, tmp_path, images=photographs, data="digits")
    with pytest.raises(ValueError, match="upanets:19 shows noise and takes neither"):
        make_figure("upanets:19", upanet, tmp_path, images=photographs)
    with pytest.raises(ValueError, match="`--data D` must name the data set that ba2m:1 shows"):
        make_figure("ba2m:1", [saved("resnet20"), saved("resnet20+ba2m")], tmp_path, images=photographs)
    with pytest.raises(ValueError, match="`--images` must be one picture for upanets:1, got 2: leave some out"):
        make_figure("upanets:1", upanet, tmp_path, images=photographs)
    with pytest.raises(ValueError, match="`--limit` and `--classes` choose images of `--data`: name the data set"):
        make_figure("upanets:1", upanet, tmp_path, images=photographs[:1], classes="3")
    with pytest.raises(ValueError, match="`--steps` says nothing to upanets:19, drawn from networks: leave it out"):
        make_figure("upanets:19", upanet, tmp_path, steps=5)
    networks = [saved(name) for name in ("resnet20", "resnet20+se", "resnet20+spa_a")]
    with pytest.raises(ValueError, match="`--images` must be 8 pictures at most for spanet:5, got 9"):
        make_figure("spanet:5", networks, tmp_path, data="digits", limit=9)


def test_another_upanet_than_the_papers_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ChannelPixelAttention for upanets:19, got upanet16_no_cpa"):
        make_figure("upanets:19", [save_network(tmp_path, "upanet16_no_cpa")], tmp_path)


@pytest.mark.slow
def test_the_same_command_writes_the_same_numbers(saved: Saved, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        make_figure("upanets:7", [saved("upanet16")], tmp_path / folder, data="digits")
    first, second = (arrays_of(tmp_path / folder, "upanets:7") for folder in ("first", "second"))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert math.prod(first["convolution"].shape) > 0
