"""What the report finds, how it sorts and words it, and that names stay names."""

import csv
import json
import os
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradscape._checkpoint import amend_checkpoint
from gradscape._digest import digest_tensors
from gradscape.data.pictures import Pictures, load_shown_pictures, save_shown_pictures
from gradscape.explain.faithfulness import MEASURES
from gradscape.explain.heatmap import Heatmaps
from gradscape.landscape import Surface
from gradscape.models import count_macs, count_parameters, load_checkpoint, save_checkpoint
from gradscape.studies.report import write_report
from gradscape.studies.report.collect import collect
from gradscape.studies.report.commands import split_option
from gradscape.studies.report.faithfulness import faithfulness_table, paired_table
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.kinds import KINDS
from gradscape.studies.report.landscape_metrics import metric_tables
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.provenance import describe_network, rebuild_commands, suggest_commands
from gradscape.studies.report.summary import network_table
from gradscape.studies.report.tables import Table
from gradscape.training.history import save_metrics
from tests.figures.charts.test_embedding import make_embedding
from tests.figures.results import bowl, make_line, make_surface
from tests.studies.networks import save_network

EVIL = "<img src=x onerror=document.title='hacked'></script><script>document.title='hacked'</script>"


def weights_of(path: Path) -> str:
    model = load_checkpoint(path)
    return digest_tensors((*model.named_parameters(), *model.named_buffers()))


def make_pictures(*names: str) -> Pictures:
    images = torch.rand(len(names), 3, 12, 20, generator=torch.Generator().manual_seed(0))
    return Pictures(images, names)


def save_heatmaps(folder: Path, *, method: str = "gradcam", **meta: Any) -> Heatmaps:
    """Two maps of pictures of 12 × 20 pixels, where results of the cam command lie."""
    raw = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    maps = Heatmaps(
        raw=raw,
        image_size=(12, 20),
        method=method,
        target_layer="stages.2",
        class_index=np.array([1, 4]),
        score=np.ones(2, np.float32),
        probability=np.array([0.75, 0.25], np.float32),
        meta={"model": "resnet20", **meta},
    )
    maps.save(folder / str(meta.get("folder", "net")) / f"{method.replace('/', '-')[:20]}.npz")
    return maps


def networks_in(folder: Path) -> list[ReportedNetwork]:
    return sort_by_network(collect([folder]))


def texts(table: Table) -> dict[str, list[str]]:
    return {row.heading: [cell.text for cell in row.cells] for row in table.rows}


def content_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    content: dict[str, Any] = json.loads(found[1], parse_constant=refuse)
    return content


def test_results_of_one_network_come_together_whatever_it_is_called(tmp_path: Path) -> None:
    path = save_network(tmp_path, "resnet20", scores={"test_accuracy": 0.875, "seed": 0})
    weights = weights_of(path)
    make_surface(model="one", weights=weights).save(tmp_path / "out" / "surface.h5")
    make_line(bowl()[2], bowl()[2] / 100, np.linspace(-1, 1, 7), model="two", weights=weights).save(
        tmp_path / "line.h5"
    )
    save_heatmaps(tmp_path / "cam", model="three", weights=weights)
    replace(make_embedding(), meta={"model": "four", "weights": weights}).save(tmp_path / "tsne" / "embedding.npz")
    make_surface(model="stranger", weights="0123").save(tmp_path / "other" / "surface.h5")
    first, second = networks_in(tmp_path)
    assert (first.title, second.title) == ("resnet20", "stranger")
    kinds = ("landscapes", "lines", "heatmaps", "embeddings")
    assert [len(first.results[kind]) for kind in kinds] == [1, 1, 1, 1]
    assert second.checkpoint is None


def test_networks_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for seed in range(3):
        save_network(tmp_path / f"seed{seed}" / "run", "resnet20", seed=seed)
    titles = [network.title for network in networks_in(tmp_path)]
    assert titles == [f"resnet20 (seed{seed})" for seed in range(3)]


def test_checkpoints_in_one_folder_are_told_apart_by_their_files(tmp_path: Path) -> None:
    for seed, name in enumerate(("birds", "imagenet")):
        save_network(tmp_path / name, "resnet20", seed=seed).rename(tmp_path / f"{name}.safetensors")
    assert [network.title for network in networks_in(tmp_path)] == ["resnet20 (birds)", "resnet20 (imagenet)"]


def test_a_best_checkpoint_counts_only_where_something_is_about_it(tmp_path: Path) -> None:
    last = save_network(tmp_path, "resnet20", seed=0)
    best = last.with_name("best.safetensors")
    shutil.copy(save_network(tmp_path / "elsewhere", "resnet20", seed=1), best)
    shutil.rmtree(tmp_path / "elsewhere")
    assert [network.checkpoint.path for network in networks_in(tmp_path) if network.checkpoint] == [last]
    make_surface(model="resnet20", weights=weights_of(best)).save(tmp_path / "surface.h5")
    first, second = networks_in(tmp_path)
    assert {first.title, second.title} == {"resnet20 (resnet20)", "resnet20 (best)"}


def test_weights_that_a_training_kept_on_its_way_are_no_networks_of_their_own(tmp_path: Path) -> None:
    last = save_network(tmp_path, "resnet20", seed=0)
    kept = save_network(tmp_path / "elsewhere", "resnet20", seed=1)
    (tmp_path / "kept").mkdir()
    kept.rename(tmp_path / "kept" / "epoch0003.safetensors")
    assert [network.checkpoint.path for network in networks_in(tmp_path) if network.checkpoint] == [last]


def test_what_lies_in_two_of_the_folders_is_taken_once(tmp_path: Path) -> None:
    make_surface().save(tmp_path / "inner" / "surface.h5")
    assert len(collect([tmp_path, tmp_path / "inner"]).results["landscapes"]) == 1


def test_damaged_files_are_named_on_the_page_and_in_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_surface().save(tmp_path / "surface.h5")
    (tmp_path / "broken.npz").write_bytes(b"PK nonsense")
    (tmp_path / "broken.h5").write_bytes(b"nonsense")
    (tmp_path / ".partial-other.h5").write_bytes(b"half a file")
    page = write_report([tmp_path], tmp_path / "report.html")
    text = page.read_text()
    for name in ("broken.npz", "broken.h5"):
        assert str(tmp_path / name) in text
        assert any(str(tmp_path / name) in message for message in caplog.messages)
    assert "partial-other" not in text


def test_a_folder_of_traps_is_read_past_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pipes wait for ever, links lead in circles, and names are no text."""
    folder = tmp_path / "runs"
    make_surface().save(folder / "surface.h5")
    os.mkfifo(folder / "pipe.npz")
    (folder / "null.csv").symlink_to("/dev/zero")
    (folder / "folder.h5").mkdir()
    (folder / "round").symlink_to(folder)
    (folder / "one.npz").symlink_to(folder / "two.npz")
    (folder / "two.npz").symlink_to(folder / "one.npz")
    (folder / "metrics.csv").write_bytes(b"epoch,loss\n1,\xff\n")
    (folder / "a\nb").mkdir()
    (folder / "a\nb" / os.fsdecode(b"\xff.npz")).write_bytes(b"PK nonsense")
    findings = collect([folder])
    assert [path.name for path, _ in findings.unread] == [os.fsdecode(b"\xff.npz"), "metrics.csv"]
    page = write_report([folder], tmp_path / "report.html").read_text()
    assert not any("\n" in message for message in caplog.messages)
    assert r"\udcff.npz" in page


@pytest.mark.parametrize("value", [3, [1], "text", {"a": [None]}, 10**30, None, {"name": 3}], ids=str)
def test_entries_that_a_user_or_damage_put_in_the_place_of_ours_are_only_shown(tmp_path: Path, value: object) -> None:
    """A report of them was a traceback, of which no file was named."""
    names = [
        *("recipe", "data", "scores", "test", "training_test", "imported", "functions", "plan", "image_files", "seed"),
        *("class_names", "checkpoint", "population", "split", "perplexity_asked", "at_chance", "image_names", "images"),
    ]
    about: dict[str, Any] = dict.fromkeys(names, value)
    path = save_network(tmp_path, "resnet20")
    amend_checkpoint(path, **about)
    save_heatmaps(tmp_path, **{**about, "weights": weights_of(path), "image_digest": "abc"})
    engines = {"functions", "plan", "population", "images"}  # of a surface these are refused, by their own tests
    others = {name: one for name, one in about.items() if name not in engines}
    make_surface(**others, weights=weights_of(path)).save(tmp_path / "surface.h5")
    networks = networks_in(tmp_path)
    assert [network.name for network in networks] == ["resnet20"]
    assert len(networks[0].results) == 2
    network_table(networks)
    suggest_commands(networks)
    assert all(line.startswith("gradscape ") for line in rebuild_commands(networks))
    assert [fact.kind for fact in describe_network(networks[0])] == ["checkpoint", "landscape", "heatmaps"]
    assert KINDS["heatmaps"].show(networks, []) is not None


def test_code_that_a_checkpoint_names_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap.py").write_text("from pathlib import Path\nPath('sprung').touch()\ndef net(**options): ...\n")
    monkeypatch.chdir(tmp_path)
    about: dict[str, Any] = {"num_classes": 2, "image_size": 8, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    save_checkpoint(tmp_path / "runs" / "x.safetensors", torch.nn.Linear(1, 1), name="trap:net", **about)
    make_surface().save(tmp_path / "runs" / "surface.h5")
    findings = collect([tmp_path / "runs"])
    assert [reason for _, reason in findings.unread] == [
        "its network is made by trap:net, and a report runs no code that a file names"
    ]
    assert not (tmp_path / "sprung").exists()


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        collect([tmp_path / "none"])
    with pytest.raises(ValueError, match=r"`RUN_DIR` must hold results of gradscape .* none in"):
        collect([tmp_path])
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"must be a folder .* but is a file"):
        collect([tmp_path / "file"])


def test_the_table_of_networks_has_accuracy_size_and_efficiency(tmp_path: Path) -> None:
    path = save_network(tmp_path, "resnet20", scores={"test_accuracy": 0.875})
    make_surface(weights="0123", model="stranger").save(tmp_path / "x" / "surface.h5")
    model = load_checkpoint(path)
    parameters, macs = count_parameters(model), count_macs(model, 16)
    rows = texts(network_table(networks_in(tmp_path)))
    assert rows["resnet20"] == [
        "87.50 %", f"{parameters:,}", f"{macs / 1e6:,.1f} M", f"{87.5 / (parameters / 1e6):,.1f}", "–",
    ]  # fmt: skip
    assert rows["stranger"] == ["–", "–", "–", "–", "0.25"]


def test_the_table_of_networks_says_what_an_accuracy_is_of(tmp_path: Path) -> None:
    about: dict[str, Any] = {"data": {"name": "npz:own.npz", "images": 8}, "scores": {"test_accuracy": 0.5}}
    held = {"name": "npz:own.npz", "split": "held out", "images": 2, "share": 0.2, "seed": 0}
    save_network(tmp_path / "today", "resnet20", **about, test=held)
    table = network_table(networks_in(tmp_path / "today"))
    assert (table.columns[0], table.rows[0].cells[0].note) == ("test accuracy", 1)
    assert table.notes == ("of 2 images held out of npz:own.npz (20 % of each class, seed 0)",)
    save_network(tmp_path / "before", "resnet20", seed=1, **about)
    table = network_table(networks_in(tmp_path))
    assert table.columns[0] == "accuracy"
    assert "of the images that it was trained with" in table.notes


def test_commands_name_the_split_only_where_it_is_another(tmp_path: Path) -> None:
    for split, said in (("train", []), ("all", []), ("test", ["--split", "test"]), ("val", ["--split", "test"])):
        assert split_option({"split": split}, usual="train") == said
    assert split_option({"split": "train"}, usual="test") == ["--split", "train"]
    assert split_option({"split": "val"}, usual="test") == split_option({}, usual="test") == []
    data, test = ({"name": name, "images": 8, "split": "all"} for name in ("npz:a.npz", "npz:b.npz"))
    save_network(tmp_path, "resnet20", data=data, test=test, recipe={"name": "digits"}, scores={"seed": 0})
    (command,) = rebuild_commands(networks_in(tmp_path))[0:1] or [""]
    assert "train resnet20 --data npz:a.npz --test npz:b.npz --recipe digits" in str(command)


def test_accuracy_comes_from_the_metrics_where_the_checkpoint_has_none(tmp_path: Path) -> None:
    path = save_network(tmp_path, "resnet20")
    save_metrics(
        path.with_name("metrics.csv"), [{"epoch": 0, "test_accuracy": 0.5}, {"epoch": 1, "test_accuracy": 0.75}]
    )
    assert texts(network_table(networks_in(tmp_path)))["resnet20"][0] == "75.00 %"


def test_faithfulness_is_the_mean_of_the_table_beside_the_heatmaps(tmp_path: Path) -> None:
    save_heatmaps(tmp_path / "cam", weights="0123")
    values = np.random.default_rng(3).random((6, len(MEASURES)))
    values[2] = np.nan  # a heatmap that shows nothing
    with (tmp_path / "cam" / "cam.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "model", "method", *MEASURES))
        table.writerows((number, "resnet20", "gradcam", *row) for number, row in enumerate(values))
        table.writerow((0, "another", "gradcam", *values[0]))
    found = faithfulness_table(networks_in(tmp_path))
    assert found is not None
    assert list(texts(found)) == ["resnet20, Grad-CAM"]
    kept = np.delete(values, 2, axis=0)
    for cell, name in zip(found.rows[0].cells, ("deletion", "insertion", "drop", "increase", "road"), strict=True):
        column = kept[:, MEASURES.index(name)]
        assert float(cell.text) == pytest.approx(column.mean(), abs=5e-4)
        assert float(cell.range.removeprefix("± ")) == pytest.approx(column.std(ddof=1) / 5**0.5, rel=0.06)


def test_faithfulness_of_two_networks_is_compared_on_the_same_images(tmp_path: Path) -> None:
    values = np.random.default_rng(3).random((8, len(MEASURES)))
    save_heatmaps(tmp_path / "cam", weights="0123")
    save_heatmaps(tmp_path / "second", weights="4567", model="other")
    (tmp_path / "second" / "net").rename(tmp_path / "cam" / "other")
    with (tmp_path / "cam" / "cam.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "model", "method", *MEASURES))
        for name, shift in (("resnet20", 0.0), ("other", 0.01)):
            shifts = shift * np.linspace(0.8, 1.2, 8)
            table.writerows((number, name, "gradcam", *(row + shifts[number])) for number, row in enumerate(values))
    found = paired_table(networks_in(tmp_path))
    assert found is not None
    assert found.rows[0].heading == "deletion, resnet20, Grad-CAM − other, Grad-CAM"
    assert found.rows[0].cells[0].text == "-0.01"
    save_heatmaps(tmp_path / "alone" / "cam", weights="0123")
    assert paired_table(networks_in(tmp_path / "alone")) is None


def test_faithfulness_at_two_layers_of_a_network_is_not_mixed(tmp_path: Path) -> None:
    save_heatmaps(tmp_path / "cam", weights="0123")
    values = np.random.default_rng(3).random((8, len(MEASURES)))
    with (tmp_path / "cam" / "cam.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "model", "method", "target_layer", *MEASURES))
        for layer, factor in (("layer1", 1.0), ("layer2", 0.5)):
            table.writerows((place, "resnet20", "gradcam", layer, *(factor * row)) for place, row in enumerate(values))
    found = paired_table(networks_in(tmp_path))
    assert found is not None
    assert found.rows[0].heading == "deletion, Grad-CAM, layer1, resnet20 − Grad-CAM, layer2, resnet20"
    own = values[:, MEASURES.index("deletion")].mean() / 2
    assert float(found.rows[0].cells[0].text) == pytest.approx(own, rel=0.01)


def test_without_measured_heatmaps_there_is_no_table_of_faithfulness(tmp_path: Path) -> None:
    save_heatmaps(tmp_path / "cam", weights="0123")
    assert faithfulness_table(networks_in(tmp_path)) is None


def test_landscape_metrics_have_a_column_for_each_network(tmp_path: Path) -> None:
    for name, steepness in (("flat", 1), ("steep", 4)):
        make_surface(bowl(steepness), model=name, weights=name, directions=[name]).save(tmp_path / name / "surface.h5")
    (table,) = metric_tables(networks_in(tmp_path))
    assert table.columns == ("flat", "steep")
    flat, steep = map(float, texts(table)["sharpness"])
    assert steep == pytest.approx(4 * flat, rel=0.05)
    assert len(table.terms) == len(table.rows)


def test_landscapes_on_other_grids_are_measured_but_not_compared(tmp_path: Path) -> None:
    make_surface(model="a", weights="a", directions=["a"]).save(tmp_path / "a" / "surface.h5")
    make_surface(alphas=np.linspace(-2, 2, 7), model="b", weights="b", directions=["b"]).save(
        tmp_path / "b" / "surface.h5"
    )
    (table,) = metric_tables(networks_in(tmp_path))
    assert table.columns == ("a", "b")
    assert any(remark.startswith("not to be compared: ") for remark in table.remarks)


def test_of_a_network_with_several_landscapes_one_is_shown_at_first(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("a", 1), ("b", 0), ("b", 1)):
        surface = make_surface(model=name, weights=name, directions=[name, str(seed)], seed=seed)
        surface.save(tmp_path / name / f"seed{seed}" / "surface.h5")
    panels = content_of(write_report([tmp_path], tmp_path / "report.html"))["landscapes"]["panels"]
    assert [panel["title"] for panel in panels] == ["a, seed 0", "a, seed 1", "b, seed 0", "b, seed 1"]
    assert [panel["first"] for panel in panels] == [True, False, True, False]


def test_a_landscape_that_cannot_be_measured_is_drawn_all_the_same(tmp_path: Path) -> None:
    axis = np.array([-1.0, 1.0])
    make_surface(np.ones((2, 2)), np.zeros((2, 2)), alphas=axis, betas=axis).save(tmp_path / "surface.h5")
    page = write_report([tmp_path], tmp_path / "report.html")
    assert len(content_of(page)["landscapes"]["panels"]) == 1
    assert metric_tables(networks_in(tmp_path)) == []


@pytest.mark.slow
def test_the_landscape_command_makes_the_same_surfaces_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradscape.cli import main

    # As pictures are no part of the numbers, and take longer than them.
    monkeypatch.setattr("gradscape.studies.subjects.draw_subjects", lambda *_, **__: [])
    names = ("resnet20", "resnet20_noshort")
    paths = [save_network(tmp_path / "nets", name, seed=seed) for seed, name in enumerate(names)]

    def run(arguments: list[str]) -> None:
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code

    options = ["--data", "digits", "--limit", "32", "--grid", "-1:1:3,-0.5:0.5:4", "--seed", "5", "--repeats", "2"]
    first = [
        "gradscape",
        "landscape",
        *map(str, paths),
        *options,
        "--ignore",
        "none",
        "-q",
        "-o",
        str(tmp_path / "out"),
    ]
    run(first)
    (line,) = [line for line in rebuild_commands(networks_in(tmp_path)) if " landscape " in line]
    assert shlex.split(line)[-1] == str(tmp_path / "out")
    run([*shlex.split(line)[:-1], str(tmp_path / "again"), "-q"])
    files = sorted((tmp_path / "out").rglob("surface.h5"))
    assert len(files) == 4
    for file in files:
        again = Surface.load(tmp_path / "again" / file.relative_to(tmp_path / "out"))
        np.testing.assert_allclose(again.loss, Surface.load(file).loss, rtol=1e-4)


def test_commands_are_quoted_for_a_shell(tmp_path: Path) -> None:
    save_heatmaps(tmp_path / "cam", method=EVIL, weights="0123", image_names=["a b.png", EVIL])
    (line,) = rebuild_commands(networks_in(tmp_path))
    parts = shlex.split(line)
    assert parts[:6] == ["gradscape", "cam", "CKPT", "--images", "a b.png", EVIL]
    assert parts[parts.index("--method") + 1] == EVIL


def test_what_is_missing_comes_with_the_command_that_makes_it(tmp_path: Path) -> None:
    path = save_network(tmp_path, "resnet20")
    missing = dict(suggest_commands(networks_in(tmp_path)))
    assert missing["landscapes"] == f"gradscape landscape {path} --data DATA -o out"
    make_surface(model="resnet20", weights=weights_of(path)).save(tmp_path / "surface.h5")
    missing = dict(suggest_commands(networks_in(tmp_path)))
    assert "landscapes" not in missing
    assert missing["embeddings"] == f"gradscape tsne {path} --data digits -o out"


def test_pictures_are_kept_and_found_by_their_digest(tmp_path: Path) -> None:
    pictures = make_pictures("a.png", "b.png")
    path = save_shown_pictures(pictures, tmp_path)
    kept = load_shown_pictures(path)
    np.testing.assert_allclose(kept.pixels.transpose(0, 3, 1, 2) / 255, pictures.images, atol=0.5 / 255 + 1e-6)
    digest = digest_tensors([("images", pictures.images)])
    save_heatmaps(tmp_path / "cam", weights="0123", image_digest=digest, image_names=["a.png", "b.png"])
    save_heatmaps(tmp_path / "other", weights="0123", image_digest="of others", image_names=["c.png", "d.png"])
    page = write_report([tmp_path], tmp_path / "report.html")
    first, second = content_of(page)["heatmaps"]
    assert first["names"] == ["a", "b"]
    assert first["pictures"]["height"] == 12
    assert second["pictures"] is None


def test_only_sections_with_something_in_them_are_there(tmp_path: Path) -> None:
    save_heatmaps(tmp_path / "cam", weights="0123")
    text = write_report([tmp_path], tmp_path / "report.html").read_text()
    assert re.findall(r'<section id="(\w+)"', text) == ["summary", "heatmaps", "provenance", "appendix"]
    assert len(text) < 300_000  # plotly is for landscapes
