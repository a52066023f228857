"""What the report prints to be run: every line is understood by the command line, and cheap ones do what they say."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from gradscape._provenance import Provenance
from gradscape.cli.app import app
from gradscape.data.pictures import load_pictures
from gradscape.landscape import Curve
from gradscape.models import import_checkpoint, load_checkpoint, save_checkpoint
from gradscape.studies import cam
from gradscape.studies.networks import load_models
from gradscape.studies.report.collect import collect
from gradscape.studies.report.commands import data_options, making_options
from gradscape.studies.report.definition import Shown
from gradscape.studies.report.found import Found, ReportedNetwork
from gradscape.studies.report.lines import LINES
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.provenance import rebuild_commands, suggest_commands
from tests.cli.conftest import gradscape as gradscape
from tests.figures.results import bowl, make_line, make_surface
from tests.studies.networks import save_network

LABELS = [f"class {number}" for number in range(10)]


def networks_in(*folders: Path) -> list[ReportedNetwork]:
    return sort_by_network(collect(folders))


def parsed(line: str) -> dict[str, object]:
    """What the command line understands of a line, nothing of which is run."""
    program, name, *arguments = shlex.split(line)
    assert program == "gradscape"
    root: Any = typer.main.get_command(app)
    return dict(root.commands[name].make_context(name, arguments).params)


def printed(networks: list[ReportedNetwork]) -> Iterator[str]:
    yield from rebuild_commands(networks)
    yield from (line for _, line in suggest_commands(networks))


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """A checkpoint that came from a file of another program, with names of the classes."""
    made = load_checkpoint(save_network(tmp_path / "made", "resnet20+se"))
    torch.save(made.network.state_dict(), tmp_path / "foreign.pt")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n")
    about: dict[str, Any] = {
        "name": "resnet20+se",
        "num_classes": 10,
        "image_size": 16,
        "labels": tmp_path / "labels.txt",
    }
    path = tmp_path / "nets" / "one.safetensors"
    import_checkpoint(tmp_path / "foreign.pt", path, mean=(125.3 / 255,) * 3, std=(0.2,) * 3, **about)
    return path


def test_every_printed_line_is_understood(tmp_path: Path, imported: Path) -> None:
    model = load_checkpoint(imported)
    picture = tmp_path / "pictures" / "a.png"
    picture.parent.mkdir()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(picture)
    explained = cam.explain_pictures({"one": model}, load_pictures([picture], 16), methods=["gradcam"])
    explained.save(tmp_path / "nets" / "cam")
    weights = explained.heatmaps["one"]["gradcam"].meta["weights"]
    about = {"model": "resnet20+se", "weights": weights, "ignore": "none", "plan": {"precision": "fp32"}}
    make_surface(**about, direction_path="my/dirs.h5", direction_file="dirs.h5").save(tmp_path / "nets" / "surface.h5")
    make_line(bowl()[2], bowl()[2] / 100, np.linspace(-1, 1, 7), **about).save(tmp_path / "nets" / "line.h5")
    networks = networks_in(tmp_path / "nets")
    lines = {line.split()[1]: parsed(line) for line in printed(networks)}
    assert set(lines) == {
        *("import", "evaluate", "landscape", "line", "curvature", "sharpness", "cam", "attention", "fusion", "tsne"),
        "train",
    }
    assert (lines["import"]["file"], lines["import"]["labels"]) == (tmp_path / "foreign.pt", tmp_path / "labels.txt")
    assert lines["cam"]["images"] == [picture] == lines["attention"]["images"]
    assert lines["landscape"]["directions"] == "my/dirs.h5"
    assert lines["line"]["ignore"] == "none"
    assert (lines["train"]["models"], lines["train"]["data"]) == (["resnet20+se"], "digits")


def test_the_import_line_makes_the_same_checkpoint(imported: Path, gradscape) -> None:  # type: ignore[no-untyped-def]
    (line,) = [line for line in rebuild_commands(networks_in(imported.parent)) if " import " in line]
    before = load_checkpoint(imported)
    imported.unlink()
    assert gradscape(*shlex.split(line)[1:]).code == 0
    again = load_checkpoint(imported)
    assert again.meta == before.meta
    assert again.labels == LABELS


def test_of_a_checkpoint_that_does_not_tell_its_source_the_labels_are_not_forgotten(tmp_path: Path) -> None:
    net = load_checkpoint(save_network(tmp_path / "made", "resnet20"))
    about: dict[str, Any] = {
        "name": "resnet20",
        "num_classes": 10,
        "image_size": 16,
        "mean": (0.1,) * 3,
        "std": (0.2,) * 3,
    }
    save_checkpoint(tmp_path / "nets" / "x.safetensors", net, labels=LABELS, **about)
    (line,) = rebuild_commands(networks_in(tmp_path / "nets"))
    assert "import FILE " in line
    assert "--labels LABELS " in line


def test_attention_and_fusion_are_suggested_only_where_there_are_any(tmp_path: Path) -> None:
    plain = save_network(tmp_path / "plain", "resnet20")
    assert {"attention maps", "feature fusion"}.isdisjoint(dict(suggest_commands(networks_in(plain.parent))))
    attending = save_network(tmp_path / "both", "resnet20+spa_a", seed=1)
    missing = dict(suggest_commands(networks_in(tmp_path / "plain", tmp_path / "both")))
    assert shlex.split(missing["attention maps"])[2] == str(attending)
    assert shlex.split(missing["feature fusion"])[2] == str(attending)


def test_results_tell_the_checkpoint_that_lies_elsewhere(tmp_path: Path) -> None:
    path = save_network(tmp_path / "elsewhere", "resnet20")
    weights = networks_in(path.parent)[0].weights
    make_surface(model="resnet20", weights=weights, checkpoint=str(path)).save(tmp_path / "out" / "surface.h5")
    (network,) = networks_in(tmp_path / "out")
    assert all(str(path) in line for line in rebuild_commands([network]))
    assert f"gradscape tsne {path} --data digits -o out" in dict(suggest_commands([network])).values()


def test_networks_that_take_other_images_are_not_in_one_suggested_command(tmp_path: Path) -> None:
    small = save_network(tmp_path / "small", "resnet20")
    twin = save_network(tmp_path / "twin", "resnet20", seed=1)
    large = save_network(tmp_path / "large", "resnet20", seed=2, image_size=24)
    weights = networks_in(tmp_path / "small")[0].weights
    make_line(bowl()[2], bowl()[2] / 100, np.linspace(-1, 1, 7), model="resnet20", weights=weights).save(
        tmp_path / "line.h5"
    )
    missing = dict(suggest_commands(networks_in(tmp_path)))
    assert set(shlex.split(missing["landscapes"])[2:4]) == {str(small), str(twin)}
    assert str(large) not in missing["landscapes"]
    assert missing["landscapes"].endswith("--data digits -o out")


@pytest.mark.parametrize(
    ("alphas", "between", "grid"),
    [
        (np.linspace(-1, 1, 7), False, {"span": 1.0, "steps": 7}),
        (np.insert(np.linspace(-0.3, 0.3, 4), 2, 0.0), False, {"span": 0.3, "steps": 4}),
        (np.linspace(0, 1, 7), True, {"steps": 7, "grid": None}),
        (np.insert(np.insert(np.linspace(-0.25, 1.25, 4), 1, 0.0), 4, 1.0), True, {"grid": "-0.25:1.25:4"}),
    ],
)
def test_a_line_is_asked_for_as_it_was(
    tmp_path: Path, alphas: np.ndarray, between: bool, grid: dict[str, object]
) -> None:
    meta = {"model": "net", "other": "b", "other_checkpoint": "b.safetensors"} if between else {"model": "net"}
    heights = np.ones(len(alphas))
    make_line(heights, heights, alphas, **meta).save(tmp_path / "line.h5")
    (line,) = rebuild_commands(networks_in(tmp_path))
    found = parsed(line)
    assert {name: found[name] for name in grid} == grid
    assert found["other"] == (Path("b.safetensors") if between else None)


def test_a_curve_is_asked_for_with_its_line_and_stands_beside_it(tmp_path: Path) -> None:
    heights, alphas = np.linspace(1, 2, 5), np.linspace(0, 1, 5)
    meta: dict[str, Any] = {"model": "net", "other": "b", "other_checkpoint": "b.safetensors", "data": "digits"}
    curve = {"kind": "chain", "length": 3.0, "distance": 2.0, "epochs": 7, "learning_rate": 0.1, "seed": 3}
    make_line(heights, heights / 9, alphas, **meta).save(tmp_path / "line.h5")
    make_line(heights, heights / 9, alphas, **meta, curve=curve).save(tmp_path / "curve.h5")
    make_surface(**meta, curve=curve).save(tmp_path / "plane" / "surface.h5")
    tensors = {"w": torch.zeros(2)}
    Curve(kind="chain", start=tensors, bend=tensors, end=tensors, meta={}).save(tmp_path / "curve.safetensors")
    assert collect([tmp_path]).unread == []
    networks = networks_in(tmp_path)
    (line,) = rebuild_commands(networks)
    asked = {"curve": "chain", "curve_epochs": 7, "curve_learning_rate": 0.1, "seed": 3, "steps": 5}
    assert parsed(line).items() >= asked.items()
    ((along, straight),) = line_group_names(networks)
    assert along == f"{straight}, chain of two lines"


def content_of(shown: Shown) -> list[dict[str, Any]]:
    """What the scripts of a kind of galleries get."""
    assert isinstance(shown.content, list)
    return shown.content


def line_group_names(networks: list[ReportedNetwork]) -> list[list[str]]:
    shown = LINES.show(networks, [])
    assert shown is not None
    return [[curve.name for curve in group.charts[0].curves] for group in shown.given]  # type: ignore[attr-defined]


def test_lines_have_names_and_colors_of_their_own_and_alphas_of_one_kind_share_a_chart(tmp_path: Path) -> None:
    heights, alphas = np.linspace(1, 2, 5), np.linspace(0, 1, 5)
    first = {"model": "resnet20", "weights": "aa", "checkpoint": "runs/x.safetensors"}
    second = {"model": "resnet20", "weights": "bb", "checkpoint": "runs/y.safetensors"}
    between = {"title": "x", "other": "y", "other_weights": "bb"}
    make_line(heights, heights / 9, alphas, **first, **between).save(tmp_path / "out1" / "line.h5")
    for number, meta in enumerate((first, first, second)):
        make_line(heights, heights / 9, alphas - 0.5, **{**meta, "seed": number}).save(
            tmp_path / f"seed{number}" / "line.h5"
        )
    networks = networks_in(tmp_path)
    assert [network.title for network in networks] == ["resnet20 (x)", "resnet20 (y)"]
    assert line_group_names(networks) == [
        ["resnet20 (x) → resnet20 (y)"],
        ["resnet20 (x), seed 0", "resnet20 (x), seed 1", "resnet20 (y)"],
    ]
    shown = LINES.show(networks, [])
    assert shown is not None
    labels = [[chart.x_label for chart in group.charts] for group in shown.given]  # type: ignore[attr-defined]
    assert labels == [["alpha (0: resnet20 (x), 1: resnet20 (y))"] * 2, ["alpha (along a random direction)"] * 2]
    for group in shown.given:  # type: ignore[attr-defined]
        looks = [(curve.color, curve.dashes) for curve in group.charts[0].curves]
        assert len(set(looks)) == len(looks)


def test_heatmaps_tell_what_classes_are_called_without_the_checkpoint(tmp_path: Path) -> None:
    (name, model), *_ = load_models([save_network(tmp_path / "net", "resnet20")], "cpu").items()
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(picture)
    explained = cam.explain_pictures({name: model}, load_pictures([picture], 16), methods=["gradcam"])
    explained.save(tmp_path / "cam")
    from gradscape.studies.report.heatmaps import HEATMAPS

    findings = collect([tmp_path / "cam"])
    shown = HEATMAPS.show(sort_by_network(findings), findings.pictures)
    assert shown is not None
    (gallery,) = content_of(shown)
    assert gallery["panels"][0]["classes"][0].startswith("digit_")


@pytest.mark.parametrize(
    ("extent", "limit"),
    [
        ({"images": 128, "population": 4000}, ["--limit", 128]),
        ({"images": 128, "images_asked": 512, "population": 4000}, ["--limit", 512]),
        ({"images": 128, "images_asked": 4000, "population": 4000}, []),
    ],
)
def test_the_command_of_a_stopped_run_asks_for_what_the_run_was_to_see(extent: dict[str, Any], limit: list) -> None:
    meta = Provenance.of({"data": "digits", "split": "train", **extent})
    assert data_options(Found(Path("surface.h5"), None, meta)) == ["--data", "digits", *limit]


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"batch_norm": {"statistics": "moving"}, "space": "states"}, []),
        ({"batch_norm": {"statistics": "stored"}, "space": "weights"}, []),
        ({"batch_norm": {"statistics": "stored"}, "space": "states"}, ["--batch-norm", "stored"]),
        (
            {"batch_norm": {"statistics": "recalibrated"}, "data": "digits", "calibration": {"data": "digits"}},
            ["--batch-norm", "recalibrated"],
        ),
        (
            {"batch_norm": {"statistics": "recalibrated"}, "data": "digits", "calibration": {"data": "npz:x.npz"}},
            ["--batch-norm", "recalibrated", "--calibration", "npz:x.npz"],
        ),
    ],
)
def test_what_became_of_running_statistics_is_spelled(meta: dict[str, Any], expected: list[str]) -> None:
    assert making_options(Found(Path("x.h5"), None, Provenance.of(meta)), {}) == expected


def test_trainings_that_were_seen_in_a_plane_are_asked_for_again(tmp_path: Path) -> None:
    meta: dict[str, Any] = {"model": "net", "data": "digits", "direction_path": "pca:runs/a", "direction_file": "pca:a"}
    make_surface(**meta, trajectory_paths=["runs/b", "runs/c"]).save(tmp_path / "surface.h5")
    (line,) = rebuild_commands(networks_in(tmp_path))
    assert parsed(line)["trajectory"] == [Path("runs/b"), Path("runs/c")]
    assert parsed(line)["directions"] == "pca:runs/a"
