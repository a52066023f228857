import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.landscape import Line, Surface
from gradscape.models import load_checkpoint
from gradscape.studies import planes
from gradscape.training import RECIPES, kept_checkpoints
from tests.cli.conftest import Command

SMALL = ("--data", "digits", "--limit", 40)


def test_training_makes_a_checkpoint_that_other_commands_take(gradscape: Command, tmp_path: Path) -> None:
    how = ("--data", "digits", "--limit", 100, "--epochs", 1, "--device", "cpu")
    done = gradscape("train", "resnet20", *how, "--keep-every", "1epochs", "-q", "-o", tmp_path)
    assert (done.code, done.out) == (0, ""), done.err
    start, end = kept_checkpoints(tmp_path)
    assert load_checkpoint(start).meta["scores"] == {"epoch": 0, "seed": 0}
    assert end.read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    model = load_checkpoint(tmp_path / "model.safetensors")
    assert (model.meta["name"], model.image_size, model.meta["recipe"]["epochs"]) == ("resnet20", 16, 1)
    assert model.meta["data"] == {"name": "digits", "images": 100}
    for name in ("metrics.csv", "best.safetensors", "curves.pdf", "curves.png"):
        assert (tmp_path / name).stat().st_size > 0


def test_several_seeds_give_a_mean_with_its_spread(gradscape: Command, tmp_path: Path) -> None:
    done = gradscape(
        "train",
        "resnet20",
        "--data",
        "digits",
        "--limit",
        50,
        "--epochs",
        1,
        "--seeds",
        2,
        "--device",
        "cpu",
        "-o",
        tmp_path,
    )
    assert done.code == 0, done.err
    assert done.out.startswith("recipe digits: 1 epoch, 100 images a step, sgd, learning rate 0.05, cosine, 2 runs\n")
    assert re.search(
        r"test accuracy of 2 runs in percent after the last epoch: mean [\d.]+ ± [\d.]+ \(std\), median", done.out
    )
    assert "95 % over seeds: " in done.out
    assert (tmp_path / "summary.csv").exists()
    assert (tmp_path / "seed1" / "model.safetensors").exists()


@pytest.mark.slow
def test_several_networks_are_trained_by_one_recipe_each_into_its_folder(gradscape: Command, tmp_path: Path) -> None:
    models = ("resnet20", "resnet20+ba2m@stages=3")
    done = gradscape("train", *models, *SMALL, "--epochs", 1, "--loss", "focal", "--device", "cpu", "-o", tmp_path)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].endswith("sgd, learning rate 0.05, cosine, focal loss")
    metas = [load_checkpoint(tmp_path / model / "model.safetensors").meta for model in models]
    assert metas[0]["recipe"] == metas[1]["recipe"]
    assert metas[0]["recipe"]["loss"] == "focal"
    assert [meta["name"] for meta in metas] == list(models)
    for model in models:
        assert f"\n{model}: test accuracy " in done.out
        assert (tmp_path / model / "curves.png").stat().st_size > 0
    said = (tmp_path / "curves.txt").read_text(encoding="utf-8")
    assert "trained with the focal loss; tested on" in " ".join(said.split())


def test_networks_of_several_papers_need_a_recipe_that_is_named(gradscape: Command, tmp_path: Path) -> None:
    models = ("resnet20", "resnet20+ba2m", "resnet20+spa_a")
    done = gradscape("train", *models, "--data", "cifar100", "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "`--recipe` must be named for networks that papers train differently (resnet20+ba2m by ba2m; " in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_options_change_the_chosen_recipe_and_the_checkpoint_keeps_all_of_it(
    gradscape: Command, tmp_path: Path
) -> None:
    done = gradscape(
        "train", "resnet20", *SMALL, "--recipe", "residual_attention_92", "--epochs", 1, "--learning-rate", 0.02,
        "--early-stopping", 3, "--device", "cpu", "-o", tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert done.out.startswith("recipe residual_attention_92: 1 epoch, 64 images a step, sgd, learning rate 0.02, st")
    recipe = load_checkpoint(tmp_path / "model.safetensors").meta["recipe"]
    expected = {
        **asdict(RECIPES["residual_attention_92"]),
        "name": "residual_attention_92",
        "epochs": 1,
        "learning_rate": 0.02,
        "early_stopping_patience": 3,
        "milestones": [65, 120, 180],
    }
    assert recipe == expected


def test_a_landscape_is_a_surface_with_pictures_and_numbers(
    gradscape: Command, checkpoint: Path, tmp_path: Path
) -> None:
    done = gradscape("landscape", checkpoint, *SMALL, "--grid", "-1:1:5,-0.5:0.25:3", "-o", tmp_path)
    assert done.code == 0, done.err
    assert "resnet20: 268,336 of 269,722 values move; " in done.out
    assert "computed in fp32" in done.out
    surface = Surface.load(tmp_path / "surface.h5")
    np.testing.assert_allclose(surface.alphas, np.linspace(-1, 1, 5))
    np.testing.assert_allclose(surface.betas, np.linspace(-0.5, 0.25, 3))
    assert (surface.count == 40).all()
    assert surface.meta["population"] == 1442
    pictures = {f"{stem}.{ending}" for stem in ("loss_contour", "loss_surface") for ending in ("pdf", "png", "txt")}
    assert {path.name for path in tmp_path.iterdir()} == {"surface.h5", "surface.csv", "surface.html", *pictures}
    paper = tmp_path / "loss_surface.pdf"
    last = f"recommended: {tmp_path / 'surface.html'} to look around, {paper} for a paper"
    assert done.out.splitlines()[-1] == last
    for stem in ("loss_contour", "loss_surface"):
        assert (tmp_path / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
        assert (tmp_path / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
    assert "plotly" in (tmp_path / "surface.html").read_text()
    assert len((tmp_path / "surface.csv").read_text().splitlines()) == 1 + 15


@pytest.mark.parametrize(("options", "everything"), [((), False), (("--all",), True)])
def test_all_draws_every_picture(
    gradscape: Command,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    everything: bool,
) -> None:
    asked: list[object] = []

    def noted(*_: object, **how: object) -> list[Path]:
        asked.append(how)
        return []

    monkeypatch.setattr("gradscape.studies.subjects.draw_subjects", noted)
    done = gradscape(
        "landscape", checkpoint, *SMALL, "--span", 0.5, "--steps", 2, *options, "-q", "-o", tmp_path / "out"
    )
    assert done.code == 0, done.err
    assert asked == [{"everything": everything}]


@pytest.mark.slow
def test_the_span_is_searched_once_and_its_trials_are_told(
    gradscape: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes, "SPAN_IMAGES", 32)
    command = ("landscape", checkpoint, *SMALL, "--steps", 3, "-o", tmp_path)
    first = gradscape(*command)
    assert first.code == 0, first.err
    assert "span search" in first.out
    assert "R = 1 " in first.out
    stamp = (tmp_path / "span.json").stat().st_mtime_ns
    trials = json.loads((tmp_path / "span.json").read_text())["trials"]
    assert Surface.load(tmp_path / "surface.h5").meta["span_search"] == trials
    assert gradscape(*command).code == 0
    assert (tmp_path / "span.json").stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_several_networks_and_draws_stand_side_by_side(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    twin = tmp_path / "twin" / "model.safetensors"
    twin.parent.mkdir()
    twin.write_bytes(checkpoint.read_bytes())
    done = gradscape(
        "landscape", checkpoint, twin, *SMALL, "--span", 0.5, "--steps", 3, "--repeats", 2, "-q", "-o", tmp_path / "out"
    )
    assert (done.code, done.out) == (0, ""), done.err
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("surface.h5"))
    assert found == [f"{name}/seed{seed}/surface.h5" for name in (checkpoint.parent.name, "twin") for seed in (0, 1)]
    surfaces = [Surface.load(tmp_path / "out" / path) for path in found]
    np.testing.assert_array_equal(surfaces[0].loss, surfaces[2].loss)
    assert not np.array_equal(surfaces[0].loss, surfaces[1].loss)
    assert (tmp_path / "out" / "loss_surface.png").exists()


@pytest.mark.slow
def test_a_dry_run_tells_the_time_and_writes_nothing(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    done = gradscape("landscape", checkpoint, *SMALL, "--dry-run", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "2,602 points × 40 images: about" in done.out
    for part in ("start ", "span search (", "planning ", "evaluating ", "drawing "):
        assert part in done.out
    assert "precision " in done.out
    assert not (tmp_path / "out").exists()


def test_a_line_that_was_exact_enough_says_how_to_go_on(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    command = ("line", checkpoint, "--data", "digits", "--limit", 80, "--steps", 3, "-o", tmp_path)
    done = gradscape(*command, "--tolerance=1000")
    assert "every point saw 32 of 80 images (stopped early" in done.out, done.err
    assert f"by --tolerance; this goes on:\n  {shlex.join(['gradscape', *map(str, command)])}\n" in done.out


@pytest.mark.slow
def test_lines_go_along_a_direction_or_to_another_network(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    assert gradscape("line", checkpoint, *SMALL, "--steps", 3, "-o", tmp_path / "random").code == 0
    line = Line.load(tmp_path / "random" / "line.h5")
    again = ("--plan", tmp_path / "random" / "line.h5", "-o", tmp_path / "again")
    done = gradscape("line", checkpoint, *SMALL, "--steps", 3, *again)
    assert "computed in fp32" in done.out, done.err
    np.testing.assert_array_equal(Line.load(tmp_path / "again" / "line.h5").blocks.mean, line.blocks.mean)
    np.testing.assert_allclose(line.alphas, [-1, 0, 1])
    twin = tmp_path / "twin" / "model.safetensors"
    twin.parent.mkdir()
    twin.write_bytes(checkpoint.read_bytes())
    assert gradscape("line", checkpoint, twin, *SMALL, "--steps", 4, "-o", tmp_path / "between").code == 0
    between = Line.load(tmp_path / "between" / "line.h5")
    np.testing.assert_allclose(between.alphas, [0, 1 / 3, 2 / 3, 1])
    assert np.ptp(between.loss) == 0  # the way to itself
    for name in ("line.pdf", "line.png", "line.csv"):
        assert (tmp_path / "between" / name).exists()


def test_a_line_goes_beyond_its_ends_where_asked_and_says_why_it_is_nan_there(
    gradscape: Command, checkpoint: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = gradscape(
        "line", checkpoint, *SMALL, "--grid", "-1.5:0.5:5", "--space", "states", "--ignore", "none", "-o", tmp_path
    )
    assert done.code == 0, done.err
    line = Line.load(tmp_path / "line.h5")
    np.testing.assert_allclose(line.alphas, [-1.5, -1, -0.5, 0, 0.5])
    assert np.isnan(line.loss[0])
    assert "running variances are negative at alpha = -1.5: batch norm gives no meaningful number there" in caplog.text


@pytest.fixture
def surface_file(gradscape: Command, checkpoint: Path, tmp_path: Path) -> Path:
    done = gradscape("landscape", checkpoint, *SMALL, "--span", 0.5, "--steps", 4, "-q", "-o", tmp_path)
    assert done.code == 0, done.err
    return tmp_path / "surface.h5"


@pytest.mark.slow
def test_a_stored_surface_is_drawn_and_converted_without_model_or_data(gradscape: Command, surface_file: Path) -> None:
    folder = surface_file.parent
    for kind in ("contour", "filled", "heat", "surface"):
        assert gradscape("plot", surface_file, "--kind", kind, "--scale", "minmax", "-o", folder / kind).code == 0
        assert (folder / f"{kind}.png").exists()
    assert gradscape("plot", surface_file, surface_file, "--value", "error", "-o", folder / "two").code == 0
    assert gradscape("plot", surface_file, "--kind", "interactive", "-o", folder / "page").code == 0
    assert (folder / "page.html").exists()
    for to, name in (("vtp", "surface.vtp"), ("npz", "surface.npz"), ("goldstein", "surface.goldstein.h5")):
        assert gradscape("convert", surface_file, "--to", to).code == 0
        assert (folder / name).exists()


def test_a_coarse_surface_is_refined_where_asked(gradscape: Command, tmp_path: Path) -> None:
    kept = Path(__file__).parents[1] / "kept" / "surface.h5"
    done = gradscape("plot", kept, "--kind", "surface", "--smooth", "-o", tmp_path / "fine")
    assert done.code == 0, done.err
    assert (tmp_path / "fine.pdf").exists()
    for options in (("--kind", "heat"), ("--kind", "interactive"), ("--kind", "surface", "--difference")):
        done = gradscape("plot", kept, *options, "--smooth", "-o", tmp_path / "no")
        assert done.code == 2
        assert "`--smooth`" in done.err
    assert [path.name for path in tmp_path.glob("no*")] == []


def test_surfaces_of_one_model_are_named_by_their_runs_in_a_picture(gradscape: Command, tmp_path: Path) -> None:
    surface = Surface.load(Path(__file__).parents[1] / "kept" / "surface.h5")
    files = [tmp_path / name / "surface.h5" for name in ("sgd/ep1", "sgd/ep2", "adam/ep2")]
    for file in files:
        surface.save(file)
    assert gradscape("plot", *files, "--kind", "interactive", "-o", tmp_path / "page").code == 0
    page = (tmp_path / "page.html").read_text()
    assert all(f"({name})" in page for name in ("sgd/ep1", "sgd/ep2", "adam/ep2"))


@pytest.mark.slow
def test_any_field_of_a_surface_and_the_difference_of_two_are_drawn(gradscape: Command, surface_file: Path) -> None:
    folder = surface_file.parent
    assert gradscape("plot", surface_file, "--value", "stderr", "-o", folder / "uncertain").code == 0
    assert (folder / "uncertain.pdf").exists()
    for kind in ("contour", "filled", "heat", "surface", "interactive"):
        done = gradscape("plot", surface_file, surface_file, "--difference", "--kind", kind)
        assert done.code == 0, done.err
        assert (folder / f"surface_difference_{kind}.{'html' if kind == 'interactive' else 'png'}").exists()
    table = np.genfromtxt(folder / "surface_difference_filled.csv", delimiter=",", names=True)
    np.testing.assert_array_equal(table["loss_difference"], 0)
    assert len(table) == 16
    page = (folder / "surface_difference_interactive.html").read_text()
    assert str(surface_file) not in page
    assert "(surface) minus" in page  # both files are of one network


def test_the_table_of_models_tells_sizes_and_verdicts(gradscape: Command) -> None:
    done = gradscape("models", "upanet16")
    assert done.code == 0, done.err
    assert "1,512,431" in done.out


def test_the_version_is_told(gradscape: Command) -> None:
    import gradscape as package

    assert gradscape("--version").out == f"gradscape {package.__version__}\n"


@pytest.mark.slow
def test_a_landscape_can_be_watched_and_stopped_by_the_clock(
    gradscape: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradscape.landscape.engine import rounds

    monkeypatch.setattr(rounds, "_PREVIEW_SECONDS", 0.0)
    options = ("--live", "--time", 0.001, "--span", 0.5, "--steps", 3, "--seed", 1)
    done = gradscape("landscape", checkpoint, "--data", "digits", "--limit", 80, *options, "-o", tmp_path)
    assert done.code == 0, done.err
    assert (Surface.load(tmp_path / "surface.h5").count == 32).all()
    assert "every point saw 32 of 80 images (stopped early, drawn from 1,442), by --time; this goes on:" in done.out
    assert "32 of 80 images (stopped early" in (tmp_path / "surface.html").read_text()
    page = (tmp_path / "live.html").read_text()
    assert 'href="surface.html"' in page
    assert "http-equiv" not in page.replace('http-equiv="Content', "")
    assert {"live.html", "live.png"} <= {Path(line.removeprefix("wrote ")).name for line in done.out.splitlines()}
    (command,) = [line for line in done.out.splitlines() if line.startswith("  gradscape ")]
    assert "--time" not in command
    assert gradscape(*shlex.split(command)[1:]).code == 0
    assert (Surface.load(tmp_path / "surface.h5").count == 80).all()


@pytest.mark.slow
def test_an_interrupt_is_exit_130_and_says_how_to_go_on(
    gradscape: Command, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradscape.landscape.engine import ledger

    calls = [0]

    def interrupted(self: ledger.Ledger, *given: Any) -> None:
        calls[0] += 1
        if calls[0] == 5:  # after the origin and three points
            raise KeyboardInterrupt
        plain(self, *given)

    plain = ledger.Ledger.enter
    monkeypatch.setattr(ledger.Ledger, "enter", interrupted)
    command = ("landscape", checkpoint, *SMALL, "--span", 0.5, "--steps", 3, "-q", "-o", tmp_path)
    done = gradscape(*command)
    assert done.code == 130
    assert "the same command goes on from there" in done.err
    assert (Surface.load(tmp_path / "surface.h5").count > 0).sum() == 3
    assert gradscape(*command).code == 0
    assert (Surface.load(tmp_path / "surface.h5").count == 40).all()
