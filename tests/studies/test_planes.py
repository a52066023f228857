import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gradscape.data import load_split
from gradscape.landscape import Options, SpanSearch, Trial, cross_entropy, random_directions, save_directions, top1
from gradscape.landscape.engine import trust
from gradscape.models import create_model, save_checkpoint
from gradscape.studies import planes
from gradscape.studies.networks import common_image_size, load_models
from gradscape.studies.planes import (
    _remembered,
    advice_on_loss,
    describe_search,
    evaluate_subjects,
    make_subjects,
    search_span,
    span_axes,
)
from gradscape.studies.spanned_planes import span_planes
from gradscape.studies.training_identity import TRAINING, read_identity
from tests.landscape.forms import trace_whatever_it_costs
from tests.studies.networks import save_network

KEPT = Path(__file__).parents[1] / "kept"


def save(path: Path, *, classes: int = 10, image_size: int = 16) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create_model("resnet20", num_classes=classes, image_size=image_size)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.get_buffer("running_var").uniform_(0.5, 2.0)
    save_checkpoint(
        path, net, name="resnet20", num_classes=classes, image_size=image_size, mean=(0.5,) * 3, std=(0.5,) * 3
    )
    return path


def test_names_tell_models_apart_and_can_be_folders(tmp_path: Path) -> None:
    paths = [save(tmp_path / folder / "model.safetensors") for folder in ("run 1", "run-1")]
    assert list(load_models(paths, "cpu")) == ["1-run-1", "2-run-1"], "no folder can be called what tells them apart"
    other = save(tmp_path / "b" / "model.safetensors")
    assert list(load_models([paths[0], other], "cpu")) == ["run-1", "b"]
    assert list(load_models([other], "cpu")) == ["resnet20"]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("sgd/last", "adam/last", "sam/last"), ["sgd", "adam", "sam"]),
        (("sgd/epoch_1", "sgd/epoch_9", "adam/epoch_30"), ["sgd-epoch_1", "sgd-epoch_9", "adam-epoch_30"]),
        (("runs/sgd/seed0/model", "runs/adam/seed1/model"), ["sgd-seed0", "adam-seed1"]),
        (("sgd/seed0/model", "adam/model"), ["sgd-seed0", "adam"]),
        (("sgd_e1", "sgd_e2"), ["sgd_e1", "sgd_e2"]),
    ],
)
def test_names_keep_every_folder_that_says_which_run_is_which(
    tmp_path: Path, files: tuple[str, ...], names: list[str]
) -> None:
    source = save(tmp_path / "source.safetensors").read_bytes()
    paths = [tmp_path / f"{file}.safetensors" for file in files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    assert list(load_models(paths, "cpu")) == names


def test_models_of_different_image_sizes_are_not_compared(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{size}.safetensors", image_size=size) for size in (16, 32)]
    with pytest.raises(ValueError, match="must take images of one size"):
        common_image_size(load_models(paths, "cpu"))


def test_images_of_more_classes_than_the_model_has_are_refused(tmp_path: Path) -> None:
    models = load_models([save(tmp_path / "a.safetensors", classes=5)], "cpu")
    with pytest.raises(ValueError, match="digits has 10 classes, but resnet20 tells only 5 apart"):
        make_subjects(models, load_split("digits", "train"), tmp_path, seeds=[0])


def test_one_direction_file_is_no_repetition(tmp_path: Path) -> None:
    models = load_models([save(tmp_path / "a.safetensors")], "cpu")
    (model,) = models.values()
    save_directions(tmp_path / "d.h5", random_directions(model, seed=0), model)
    split = load_split("digits", "train", limit=10)
    planes = span_planes(str(tmp_path / "d.h5"), models, split)
    with pytest.raises(ValueError, match="`--repeats` draws random directions"):
        make_subjects(models, split, tmp_path, seeds=[0, 1], planes=planes)
    (subject,) = make_subjects(models, split, tmp_path, seeds=[0], planes=planes)
    assert subject.meta["direction_file"] == "d.h5"


@pytest.mark.slow
def test_a_search_is_remembered_for_the_same_images_only(tmp_path: Path) -> None:
    models = load_models([save(tmp_path / "a.safetensors")], "cpu")
    splits = [load_split("digits", "train", limit=limit) for limit in (20, 30)]
    memory = tmp_path / "span.json"
    memory.write_text(json.dumps({"old": 1}))
    tried: list = []
    for split, runs in ((splits[0], 1), (splits[0], 1), (splits[1], 2)):
        subjects = make_subjects(models, split, tmp_path, seeds=[0])
        before = len(tried)
        search = search_span(subjects, split, memory, report=tried.append)
        assert search.trials == tuple(tried[before:] or tried[:before])
        assert memory.exists()
        assert (len(tried) > before) == (runs == 2 or before == 0)


def test_a_search_is_remembered_for_its_own_loss_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = load_models([save(tmp_path / "a.safetensors")], "cpu")
    split = load_split("digits", "train", limit=20)
    subjects = make_subjects(models, split, tmp_path, seeds=[0])
    searched: list = []

    def found_at_once(*_: object, loss: object, **__: object) -> SpanSearch:
        searched.append(loss)
        return SpanSearch(1 / (1 + len(searched)), True, ())

    monkeypatch.setattr(planes, "find_span", found_at_once)
    for loss, span in ((cross_entropy, 1 / 2), (cross_entropy, 1 / 2), (top1, 1 / 3), (top1, 1 / 3)):
        assert search_span(subjects, split, tmp_path / "span.json", options=Options(loss=loss)).span == span
    assert searched == [cross_entropy, top1]


def test_a_search_proposes_a_log_scale_and_keeps_its_span(tmp_path: Path) -> None:
    models = load_models([save(tmp_path / "a.safetensors")], "cpu")
    subjects = make_subjects(models, load_split("digits", "train", limit=20), tmp_path, seeds=[0])
    trials = (
        Trial(0, 1.0, 3, 50.0, 0.9, ("3 of 121 points are not finite",), 5.0),
        Trial(0, 0.5, 0, 50.0, 0.1, (), 2.4),
    )
    lines = describe_search(SpanSearch(0.5, True, trials), subjects).splitlines()
    assert lines[-2:] == [
        "span: 0.5",
        "log scale: resnet20 spans 2.4 decades at R = 0.5; gradscape plot --scale raw draws it evenly",
    ]
    narrow = (trials[0], replace(trials[1], decades=1.9))
    assert describe_search(SpanSearch(0.5, True, narrow), subjects).splitlines()[-1] == "span: 0.5"


def test_a_plane_tells_the_recipe_of_its_network_but_a_search_is_remembered_without_it(tmp_path: Path) -> None:
    recipe, path = {"name": "upanets", "epochs": 60}, save(tmp_path / "model.safetensors")
    subjects: list[planes.Subject] = []
    metas: list[dict[str, object]] = [{}, {"recipe": recipe}]
    for meta in metas:
        net = load_models([path], "cpu")["resnet20"]
        net.meta |= meta
        subjects += make_subjects({"net": net}, load_split("digits", "train", limit=8), tmp_path, seeds=[0])
    old, new = subjects
    assert "recipe" not in old.meta
    assert new.meta["recipe"] == {"loss": "cross_entropy", **recipe}
    assert new.key == old.key


def test_networks_of_another_loss_are_told_before_a_landscape(tmp_path: Path) -> None:
    net = load_models([save(tmp_path / "model.safetensors")], "cpu")["resnet20"]
    assert advice_on_loss({"net": net}, "cross_entropy") == ""
    net.meta["recipe"] = {"name": "upanets", "loss": "focal"}
    assert advice_on_loss({"net": net}, "cross_entropy") == (
        "net: trained with the focal loss, drawn is the cross-entropy; `--loss` takes another"
    )
    assert advice_on_loss({"net": net}, "focal") == ""


def test_a_surface_keeps_of_which_training_it_is_and_a_search_does_not_depend_on_it(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "recipe": {"name": "digits"},
        "data": {"name": "digits", "images": 9},
        "scores": {"seed": 4, "epoch": 2},
    }
    path = save_network(tmp_path, "resnet20", **told)
    models, split = load_models([path], "cpu"), load_split("digits", "test", image_size=16, limit=20)
    (subject,) = make_subjects(models, split, tmp_path, seeds=[0])
    identity = read_identity(subject.meta)
    assert identity is not None
    assert (identity.seed, identity.epoch) == (4, 2)
    assert TRAINING not in subject.key, "searches were remembered before it was kept"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda stored: stored.update(span="wide"), "`span` must be a number"),
        (lambda stored: stored.update(span=float("nan")), "`span` must be positive"),
        (lambda stored: stored.pop("visible"), "lacks visible"),
        (lambda stored: stored.update(trials=[3]), "`trials` must be a list"),
        (lambda stored: stored["trials"][0].update(failed="no"), "`failed` must be a list"),
    ],
    ids=range(5),
)
def test_a_damaged_memory_of_a_search_is_told_with_its_remedy(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str
) -> None:
    stored = json.loads((KEPT / "span.json").read_text())
    key = stored["subjects"]
    assert _remembered(KEPT / "span.json", key) is not None
    change(stored)
    (tmp_path / "span.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=rf"span\.json is damaged: .*{reason}.*; remove it, and the span is searched"):
        _remembered(tmp_path / "span.json", key)
    (tmp_path / "span.json").write_text("[1")
    with pytest.raises(ValueError, match=r"span\.json must be a memory of a search for a span, but is no JSON"):
        _remembered(tmp_path / "span.json", key)


@pytest.mark.slow
def test_search_and_surfaces_of_all_draws_share_what_was_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traced: list[nn.Module] = []

    def counted(model: nn.Module, *given: Any) -> Any:
        traced.append(model)
        return trace(model, *given)

    trace = trust.trace
    monkeypatch.setattr(trust, "trace", counted)
    trace_whatever_it_costs(monkeypatch)
    monkeypatch.setattr("gradscape.landscape.span.SPANS", (0.5,))
    monkeypatch.setattr("gradscape.landscape.span.SPAN_STEPS", 3)
    models = load_models([save(tmp_path / "a.safetensors"), save(tmp_path / "b.safetensors")], "cpu")
    split = load_split("digits", "test", image_size=16, limit=32)
    subjects = make_subjects(models, split, tmp_path / "out", seeds=[0, 1])
    search_span(subjects, split, tmp_path / "span.json")
    surfaces = evaluate_subjects(subjects, split, span_axes(0.5, 3))
    assert len(surfaces) == 4
    assert all(surface.meta["plan"]["traced"] for surface in surfaces)
    assert len(traced) == 2
    assert set(traced) == set(models.values())
