import importlib
import pickle
import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

import gradscape
from gradscape.landscape import Surface
from gradscape.landscape.statistics import BlockStatistics

_HEAVY = {"torchvision", "lightning", "timm", "sklearn", "torch._dynamo", "torch._inductor"}
_LISTS = ["data", "explain", "figures", "landscape", "models", "training"]


def _loaded_by(code: str) -> set[str]:
    report = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def _command(*arguments: object) -> str:
    words = [str(argument) for argument in arguments]
    return f"from gradscape.cli.app import app\napp({words!r}, standalone_mode=False)"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the surfaces of two networks."""
    folder = tmp_path_factory.mktemp("runs")
    alphas, betas = np.linspace(-1, 1, 7), np.linspace(-1, 1, 5)
    heights = alphas**2 + 2 * betas[:, None] ** 2
    draws = np.random.default_rng(0).normal(0.5, 0.01, size=(16, 1, 1))
    for name in ("first", "second"):
        blocks = BlockStatistics(
            count=np.full((16, 5, 7), 8),
            mean=heights + draws,
            m2=np.full((16, 5, 7), 0.1),
            right=np.full((16, 5, 7), 6.0),
            nonfinite=np.zeros((16, 5, 7), np.int64),
            population=1000,
        )
        meta = {"model": name, "weights": name, "directions": ["d0", "d1"], "blocks": ["b0"], "data": "digits"}
        surface = Surface(alphas=alphas, betas=betas, blocks=blocks, origin=blocks.points(2).points(3), meta=meta)
        (folder / name).mkdir()
        surface.save(folder / name / "surface.h5")
    return folder


@pytest.mark.parametrize(
    "code",
    [
        "import gradscape",
        "from gradscape.cli.app import app\ntry:\n    app(['--help'])\nexcept SystemExit:\n    pass",
        "from gradscape.cli.app import app\ntry:\n    app(['landscape', '--help'])\nexcept SystemExit:\n    pass",
        *(f"import gradscape.{room}" for room in _LISTS),
    ],
)
def test_the_front_door_and_help_load_neither_torch_nor_matplotlib(code: str) -> None:
    loaded = _loaded_by(code)
    assert "gradscape" in loaded
    assert not loaded & {"torch", "matplotlib", "plotly", "numpy", "h5py"}


@pytest.mark.parametrize("arguments", [("plot", "--kind", "contour"), ("convert", "--to", "vtp")])
def test_what_takes_one_surface_loads_neither_torch_nor_what_it_does_not_draw_with(
    arguments: tuple[str, ...], runs: Path, tmp_path: Path
) -> None:
    name, *options = arguments
    loaded = _loaded_by(_command(name, runs / "first" / "surface.h5", *options, "-o", tmp_path / "written"))
    assert list(tmp_path.iterdir())
    assert not loaded & {"torch", "scipy", "plotly", "jinja2"}


def test_plotting_an_interactive_page_loads_no_torch(runs: Path, tmp_path: Path) -> None:
    loaded = _loaded_by(
        _command("plot", runs / "first" / "surface.h5", "--kind", "interactive", "-o", tmp_path / "page")
    )
    assert (tmp_path / "page.html").exists()
    assert "plotly" in loaded
    assert "torch" not in loaded


def test_comparing_surfaces_loads_no_torch(runs: Path, tmp_path: Path) -> None:
    loaded = _loaded_by(_command("compare", runs / "first", runs / "second", "-o", tmp_path))
    assert list(tmp_path.iterdir())
    assert "torch" not in loaded


@pytest.mark.slow
def test_a_report_of_landscapes_alone_loads_none_of_the_heavy_parts(runs: Path, tmp_path: Path) -> None:
    loaded = _loaded_by(_command("report", runs, "-o", tmp_path / "report.html"))
    assert (tmp_path / "report.html").exists()
    assert not loaded & _HEAVY


def test_sub_packages_come_when_asked_for() -> None:
    assert gradscape.landscape.Surface.__name__ == "Surface"
    assert set(gradscape.__all__) <= set(dir(gradscape))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = gradscape.nothing


@pytest.mark.parametrize("room", _LISTS)
def test_every_public_name_of_a_room_is_there_and_offered(room: str) -> None:
    package = importlib.import_module(f"gradscape.{room}")
    assert package.__all__
    assert set(dir(package)) == set(package.__all__)
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        _ = package.nothing


def test_a_stubs_list_is_what_it_imports() -> None:
    for room in _LISTS:
        stub = resources.files(f"gradscape.{room}") / "__init__.pyi"
        listed = stub.read_text().split("__all__ = [")[1].split('"')[1::2]
        assert set(listed) == set(importlib.import_module(f"gradscape.{room}").__all__)


def test_public_classes_and_functions_can_be_pickled() -> None:
    for name in ("Surface", "evaluate_surface", "random_directions"):
        thing = getattr(gradscape.landscape, name)
        assert pickle.loads(pickle.dumps(thing)) is thing


def test_the_package_says_that_it_is_typed() -> None:
    assert (resources.files("gradscape") / "py.typed").is_file()
