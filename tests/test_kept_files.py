"""Files that gradscape 0.1.0 wrote, one of each kind: `tests/kept/make.py` says how."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape._arrays import load_arrays
from gradscape._digest import digest_model
from gradscape._provenance import Provenance
from gradscape.data import load_split
from gradscape.data.pictures import load_pictures, load_shown_pictures
from gradscape.explain.attention_map import load_attention_maps
from gradscape.explain.cam import heatmaps
from gradscape.explain.embedding import Embedding
from gradscape.explain.faithfulness import Faithfulness, measure_faithfulness
from gradscape.explain.fusion import fusion_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.charts.embedding import figure_embeddings
from gradscape.figures.images.attention import figure_channel_weights
from gradscape.figures.images.fusion import figure_fusion
from gradscape.figures.images.heatmaps import figure_heatmaps
from gradscape.figures.surfaces.wording import describe_field, describe_lines
from gradscape.landscape import Line, Options, Surface, load_directions, load_landscape, random_directions
from gradscape.models import Classifier, load_checkpoint
from gradscape.studies.compare import load_networks
from gradscape.studies.drawing import draw_one
from gradscape.studies.planes import evaluate_subjects, make_subjects, search_span
from gradscape.studies.report import write_report
from gradscape.training.history import load_metrics

KEPT = Path(__file__).parent / "kept"
NETWORK, WEIGHTS, IMAGES = "kept_network:small_net", "d3cb784d2c6ef0b5", "2d1d3ac3fc65f866"
TITLE = "kept_network-small_net"
SIDE, LIMIT = 16, 128


@pytest.fixture(autouse=True)
def _network_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(KEPT))


@pytest.fixture
def model() -> Classifier:
    return load_checkpoint(KEPT / "model.safetensors").to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def expected() -> Iterator[dict[str, np.ndarray]]:
    with np.load(KEPT / "expected.npz") as file:
        yield dict(file)


@pytest.mark.parametrize("kind", ["surface", "line", "begun"])
def test_landscapes_have_the_values_that_they_had(kind: str, expected: dict[str, np.ndarray]) -> None:
    result = load_landscape(KEPT / f"{kind}.h5")
    assert isinstance(result, Line if kind == "line" else Surface)
    for name in ("alphas", "loss", "loss_stderr", "error", "count"):
        np.testing.assert_array_equal(getattr(result, name), expected[f"{kind}.{name}"])
    told = Provenance.of(result.meta)
    assert (told.weights, told.data, told.split) == (WEIGHTS, "digits", "train")
    assert (told.images, told.population, told.seed) == (LIMIT, 1442, 0)
    assert told.versions == {"gradscape": "0.1.0"}
    assert (told.model, told.title) == (TITLE if kind == "line" else NETWORK, None)
    assert result.meta["plan"]["precision"] == "fp32"


def test_captions_say_what_they_said() -> None:
    surface, line = Surface.load(KEPT / "surface.h5"), Line.load(KEPT / "line.h5")
    said = load_arrays(KEPT / "upanets_15.npz")[1]["caption"]
    # Which precision it was computed in is said since.
    assert said.startswith(describe_field(surface.field("loss")).replace(" · fp32", "") + " · ")
    assert " · seed 0 · fp32 · " in describe_field(surface.field("loss"))
    assert describe_lines([line]).startswith(f"{TITLE} · digits (train) · 128 of 1,442 images · seed 0 · fp32")


def test_the_checkpoint_is_the_network_that_all_results_are_about(model: Classifier) -> None:
    assert (model.meta["name"], model.image_size, len(model.labels or ())) == (NETWORK, SIDE, 10)
    assert digest_model(model) == WEIGHTS
    assert model.meta["scores"]["test_accuracy"] == pytest.approx(0.146, abs=1e-3)


def test_the_direction_file_has_the_directions_of_its_seed(model: Classifier) -> None:
    for kept, drawn in zip(
        load_directions(KEPT / "directions.h5", model), random_directions(model, seed=0), strict=True
    ):
        for name, values in drawn.items():
            torch.testing.assert_close(kept[name], values, rtol=1e-6, atol=0)


def test_explanations_are_those_of_their_network_and_pictures(model: Classifier) -> None:
    images = load_pictures([KEPT / "images"], SIDE).images
    kept = Heatmaps.load(KEPT / TITLE / "gradcam.npz")
    made = heatmaps(model, images, method="gradcam", target_layer="deep")
    np.testing.assert_allclose(kept.raw, made.raw, rtol=1e-5, atol=1e-7)
    fused = FusionMaps.load(KEPT / "fusion.npz")
    np.testing.assert_allclose(fused.fused, fusion_maps(model, images, block="first").fused, rtol=1e-5, atol=1e-6)
    attention, about = load_attention_maps(KEPT / "attention.npz")
    assert {one.kind for one in attention.values()} == {"channel"}
    np.testing.assert_allclose(fused.part[:, :, 0, 0], attention["first.channel"].values, rtol=1e-6)
    for meta in map(Provenance.of, (kept.meta, fused.meta, about)):
        assert (meta.title, meta.model, meta.weights) == (TITLE, None, WEIGHTS)
        assert (meta.images, meta.image_digest, meta.image_names) == (2, IMAGES, ("digit-3.png", "digit-7.png"))
        assert list(meta.versions or ()) == ["gradscape", "torch"] or set(meta.versions or ()) == {"gradscape", "torch"}
    assert "torch" not in fused.meta


def test_faithfulness_is_measured_as_it_was(model: Classifier) -> None:
    images = load_pictures([KEPT / "images"], SIDE).images
    kept = Faithfulness.load(KEPT / "faithfulness.npz")
    made = measure_faithfulness(model, images, Heatmaps.load(KEPT / TITLE / "gradcam.npz"), steps=4)
    for name in ("confidence", "deletion", "insertion", "road"):
        np.testing.assert_allclose(getattr(kept, name), getattr(made, name), rtol=1e-4, atol=1e-5)
    assert (Provenance.of(kept.meta).model, kept.meta["method"]) == (NETWORK, "gradcam")


def test_the_embedding_has_its_points_and_quality() -> None:
    kept = Embedding.load(KEPT / "embedding.npz")
    assert (len(kept), kept.perplexity, kept.layer) == (40, 8, "input of head")
    assert kept.quality.trustworthiness == pytest.approx(0.97163, abs=1e-5)
    assert (Provenance.of(kept.meta).title, Provenance.of(kept.meta).data, Provenance.of(kept.meta).split) == (
        TITLE,
        "digits",
        "test",
    )
    assert set(Provenance.of(kept.meta).versions or ()) == {"gradscape", "torch", "numpy", "scipy"}


def test_pictures_and_tables_are_read() -> None:
    shown = load_shown_pictures(KEPT / "pictures.npz")
    assert (shown.names, shown.digest, shown.pixels.shape) == (
        ("digit-3.png", "digit-7.png"),
        IMAGES,
        (2, SIDE, SIDE, 3),
    )
    assert load_metrics(KEPT / "metrics.csv")["epoch"].tolist() == [1, 2, 3]  # the file counts from 0
    arrays, meta = load_arrays(KEPT / "upanets_15.npz")
    assert (meta["figure"], meta.seed, meta["surfaces"][NETWORK]["weights"]) == ("upanets:15", 0, WEIGHTS)
    np.testing.assert_array_equal(arrays[f"{NETWORK}.loss"], Surface.load(KEPT / "surface.h5").loss)


def test_every_kind_is_drawn(tmp_path: Path) -> None:
    surface, line = Surface.load(KEPT / "surface.h5"), Line.load(KEPT / "line.h5")
    drawn: list[list[Surface | Line]] = [[surface], [surface, surface], [line]]
    for number, results in enumerate(drawn):
        assert draw_one(
            results,
            [KEPT / "surface.h5"] * len(results),
            tmp_path / str(number),
            kind="filled",
            value="loss",
            scale="raw",
        )
    pictures = load_pictures([KEPT / "images"], SIDE)
    maps = Heatmaps.load(KEPT / TITLE / "gradcam.npz")
    figure_heatmaps(pictures.images, maps)
    figure_fusion(FusionMaps.load(KEPT / "fusion.npz"), number=1, image=pictures.images[1], names=pictures.names)
    figure_channel_weights(load_attention_maps(KEPT / "attention.npz")[0])
    page = figure_embeddings([Embedding.load(KEPT / "embedding.npz")])
    assert TITLE in page.get_supxlabel().replace("\n", "") or any(TITLE in ax.get_title() for ax in page.axes)


def test_a_begun_surface_goes_on_to_the_numbers_of_one_never_stopped(model: Classifier, tmp_path: Path) -> None:
    split = load_split("digits", "train", image_size=SIDE, limit=LIMIT, seed=0)
    (subject,) = make_subjects({TITLE: model}, split, tmp_path, seeds=[0])
    shutil.copy(KEPT / "begun.h5", tmp_path / "surface.h5")
    begun, whole = Surface.load(KEPT / "begun.h5"), Surface.load(KEPT / "surface.h5")
    assert 0 < (begun.count == LIMIT).sum() < begun.count.size
    axes = (begun.alphas, begun.betas)
    options = Options(precision="fp32", batch_size=32, allow_plan_change=True)
    # Another machine has other versions or instructions, but what is measured must be the same.
    (ended,) = evaluate_subjects([subject], split, axes, options=options)
    for name in ("loss", "loss_stderr", "error"):
        np.testing.assert_allclose(getattr(ended, name), getattr(whole, name), rtol=1e-6)
    same_plan = Surface.load(tmp_path / "surface.h5").meta["plan"] == whole.meta["plan"]
    if same_plan:
        np.testing.assert_array_equal(ended.blocks.mean, whole.blocks.mean)
    assert ended.meta["blocks"] == whole.meta["blocks"]
    assert ended.meta["functions"] == whole.meta["functions"]


def test_a_search_that_was_made_is_not_made_again(model: Classifier, tmp_path: Path) -> None:
    memory = Path(shutil.copy(KEPT / "span.json", tmp_path))
    load = {"image_size": SIDE, "limit": 256, "seed": 0}
    split = load_split("digits", "train", **load)  # type: ignore[arg-type]
    subjects = make_subjects({TITLE: model}, split, tmp_path, seeds=[0])
    made: list[object] = []
    assert search_span(subjects, split, memory, report=made.append).span == 1
    assert not made
    assert json.loads(memory.read_text()) == json.loads((KEPT / "span.json").read_text())


def test_surfaces_of_both_versions_are_compared_as_one_network(tmp_path: Path) -> None:
    again = Surface.load(KEPT / "surface.h5")
    again.save(tmp_path / "surface.h5")
    assert Surface.load(tmp_path / "surface.h5").meta == again.meta
    assert isinstance(again.meta, Provenance)
    assert list(load_networks([KEPT / "surface.h5"])) == [NETWORK]


def test_a_report_shows_everything(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(KEPT, folder, ignore=shutil.ignore_patterns("expected.npz", "upanets_15.npz", "__pycache__"))
    page = write_report([folder], tmp_path / "index.html").read_text(encoding="utf-8")
    for shown in ("Landscapes", "Heatmaps", "Attention", "Embedding", "digit-3", TITLE, "trustworthiness"):
        assert shown in page
