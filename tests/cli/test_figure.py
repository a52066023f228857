from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from gradscape._arrays import load_arrays
from gradscape.cli.figure import figure
from gradscape.studies.papers.catalog import FIGURES
from tests.studies.networks import save_network

application = typer.Typer()
application.command()(figure)


@pytest.fixture(scope="module")
def upanet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_network(tmp_path_factory.mktemp("networks"), "upanet16")


def run(*arguments: object) -> str:
    done = CliRunner().invoke(application, list(map(str, arguments)), catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0
    return done.output


def test_the_list_has_a_row_for_every_figure() -> None:
    for arguments in (["--list"], []):
        lines = run(*arguments).splitlines()
        assert [name for name in FIGURES if any(line.startswith(f"{name} ") for line in lines)] == list(FIGURES)


def test_the_list_is_of_all_figures_and_says_so_where_one_is_named() -> None:
    with pytest.raises(ValueError, match="`--list` lists the figures of all papers: leave out upanets:7, or leave"):
        run("upanets:7", "--list")


def test_a_figure_is_drawn_from_a_data_set_and_what_was_written_is_told(upanet: Path, tmp_path: Path) -> None:
    told = run("upanets:7", upanet, "--data", "digits", "--classes", 3, "--device", "cpu", "-o", tmp_path)
    assert [line.rpartition("/")[2] for line in told.splitlines()] == [
        "upanets_7.pdf",
        "upanets_7.png",
        "upanets_7.txt",
        "upanets_7.npz",
    ]
    assert load_arrays(tmp_path / "upanets_7.npz")[1]["image_names"] == ["3"]


@pytest.mark.slow
def test_seed_and_quiet_are_obeyed(upanet: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        assert run("upanets:19", upanet, "--seed", seed, "--device", "cpu", "-q", "-o", tmp_path / str(seed)) == ""
    first, second = (load_arrays(tmp_path / str(seed) / "upanets_19.npz")[0]["sum"] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_checkpoints_that_are_missing_are_one_line_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"upanets:19 got 0\. Make one with `gradscape train upanet16 --data cifar10 -o"
    ):
        run("upanets:19", "-o", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_landscape_is_evaluated_on_the_way_with_as_many_steps_as_asked_for(tmp_path: Path) -> None:
    small = save_network(tmp_path, "upanet16_exc_spa", image_size=8)
    told = run(
        *("upanets:17", small, "--data", "digits", "--limit", 32, "--steps", 2, "--seed", 1),
        *("--device", "cpu", "-o", tmp_path / "out"),
    )
    written = [line.removeprefix("wrote ") for line in told.splitlines() if line.startswith("wrote ")]
    assert [Path(path).relative_to(tmp_path / "out") for path in written] == [
        Path("surfaces/digits_train_span1_steps2_seed1/upanet16_exc_spa/surface.h5"),
        *(Path(f"upanets_17.{ending}") for ending in ("pdf", "png", "txt", "npz")),
    ]
    assert load_arrays(tmp_path / "out" / "upanets_17.npz")[0]["upanet16_exc_spa.loss"].shape == (2, 2)


def test_a_published_table_is_drawn_without_any_path(tmp_path: Path) -> None:
    assert run("upanets:10", "--device", "cpu", "-o", tmp_path).count("wrote") == 4


def test_run_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match=r"run must be a run folder of `gradscape train`, but holds no metrics\.csv"):
        run("upanets:10", tmp_path / "run", "--device", "cpu", "-o", tmp_path)


def test_a_scale_is_for_landscapes_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`--scale` says nothing to upanets:10, drawn from a published table"):
        run("upanets:10", "--scale", "minmax", "--device", "cpu", "-o", tmp_path)
