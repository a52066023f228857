"""What a user may do wrong: one clear line on stderr, exit code 2, and nothing half-written."""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape.landscape import Surface
from gradscape.landscape.statistics import BlockStatistics
from tests.cli.conftest import Command, Outcome


def _run(*arguments: object, folder: Path) -> Outcome:
    """The command in a process of its own, as a user starts it."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [str(Path(sys.executable).with_name("gradscape")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that commands run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _assert_one_line(done: Outcome, text: str) -> None:
    assert done.code == 2, done.err
    assert done.out == ""
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("gradscape: ")
    assert text in done.err


def test_a_missing_file(tmp_path: Path) -> None:
    done = _run("landscape", "none.safetensors", "--data", "digits", "-o", "out", folder=tmp_path)
    _assert_one_line(done, "none.safetensors")
    assert not (tmp_path / "out").exists()


def test_a_wrong_key(tmp_path: Path) -> None:
    torch.save({"state_dict": {"conv1.weight": torch.zeros(16, 3, 3, 3), "surplus": torch.zeros(1)}}, tmp_path / "f.pt")
    done = _run(
        "import", "f.pt", "--model", "resnet20", "--mean", "0,0,0", "--std", "1,1,1", "--num-classes", 10,
        "-o", "x.safetensors", folder=tmp_path,
    )  # fmt: skip
    _assert_one_line(done, "surplus")
    assert "linear.weight" in done.err
    assert not (tmp_path / "x.safetensors").exists()


def test_a_wrong_size(gradscape: Command, here: Path) -> None:
    done = gradscape("train", "upanet16", "--data", "digits", "--image-size", 15, "-o", "out")
    _assert_one_line(done, "multiple of 8")
    assert not (here / "out").exists()


def test_a_corrupt_image(gradscape: Command, here: Path, checkpoint: Path) -> None:
    for name in ("train/cat", "test/cat"):
        (here / "pets" / name).mkdir(parents=True)
        (here / "pets" / name / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nonsense")
    done = gradscape("landscape", checkpoint, "--data", "folder:pets", "-o", "out")
    _assert_one_line(done, "one.png")


@pytest.mark.usefixtures("here")
def test_an_unknown_name(gradscape: Command) -> None:
    done = gradscape("train", "upnet16", "--data", "digits", "-o", "out")
    _assert_one_line(done, "upanet16")


@pytest.mark.parametrize(
    ("option", "value"), [("--normalize", "all"), ("--precision", "fp8"), ("--estimator", "median")]
)
@pytest.mark.usefixtures("here", "unchecked")
def test_an_unknown_choice(gradscape: Command, checkpoint: Path, option: str, value: str) -> None:
    done = gradscape("landscape", checkpoint, "--data", "digits", option, value, "--span", 1, "-o", "out")
    _assert_one_line(done, f"`{option}` must be")


@pytest.mark.usefixtures("here", "unchecked")
def test_a_loss_that_training_does_not_know(gradscape: Command) -> None:
    done = gradscape("train", "resnet20", "--data", "digits", "--loss", "hinge", "-o", "out")
    _assert_one_line(done, "`--loss` must be one of cross_entropy, focal, ohem")


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if not mount or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root on Linux")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_no_disk_space(tiny_disk: Path, checkpoint: Path) -> None:
    """The surface, which fits, is kept; the first picture that does not is told by name."""
    done = _run(
        "landscape", checkpoint, "--data", "digits", "--limit", 20, "--span", 1, "--steps", 3, "--metric", "none", "-q",
        "-o", "out", folder=tiny_disk,
    )  # fmt: skip
    _assert_one_line(done, "No space left on device")
    assert "out/" in done.err
    from gradscape.landscape import Surface

    assert (Surface.load(tiny_disk / "out" / "surface.h5").count == 20).all()
    assert not [path for path in (tiny_disk / "out").iterdir() if path.name.startswith(".partial")]


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


def test_a_pickle_that_would_run_code_is_refused_unrun(gradscape: Command, tmp_path: Path) -> None:
    (tmp_path / "trap.pt").write_bytes(pickle.dumps({"state_dict": _Trap(tmp_path / "sprung")}))
    done = gradscape(
        "import",
        tmp_path / "trap.pt",
        "--model",
        "resnet20",
        "--mean",
        "0,0,0",
        "--std",
        "1,1,1",
        "-o",
        tmp_path / "x.safetensors",
    )
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("landscape", "CKPT", "--data", "digits", "--span", "wide", "-o", "OUT"), "`--span` must be auto or"),
        (("landscape", "CKPT", "--data", "digits", "--grid", "1:2", "-o", "OUT"), "`--grid` must read"),
        (("line", "CKPT", "--data", "digits", "--grid", "0:1", "-o", "OUT"), "`--grid` must read a0:a1:A"),
        (("landscape", "CKPT", "--data", "digit", "-o", "OUT"), "digits"),
        (("landscape", "CKPT", "--data", "digits", "--split", "val", "-o", "OUT"), "`--split`"),
        (("landscape", "CKPT", "--data", "digits", "--device", "cuda:99", "-o", "OUT"), "`--device`"),
        (("landscape", "CKPT", "--data", "digits", "--steps", "1", "-o", "OUT"), "--steps"),
        (("landscape", "CKPT", "--data", "cifar10", "-o", "OUT"), "--download"),
        (("landscape", "CKPT", "--data", "digits", "--directions", "none.h5", "-o", "OUT"), "no direction file"),
        (("landscape", "CKPT", "--data", "digits", "--time", "0", "-o", "OUT"), "`--time` must be positive"),
        (
            ("landscape", "CKPT", "--data", "digits", "--span", "1", "--tolerance", "-1", "-o", "OUT"),
            "`--tolerance` must",
        ),
        (
            ("landscape", "CKPT", "--data", "digits", "--span", "1", "--ray", "ray://a:1", "-o", "OUT"),
            "`--ray` must be",
        ),
        (("landscape", "--data", "digits", "-o", "OUT"), "Missing argument"),
        (("landscapes",), "No such command"),
        (("models", "nothing*"), "no model matches 'nothing*'; `gradscape models` lists all"),
        (("models", "mobilenet"), "no model matches 'mobilenet'; did you mean mobilenet_v1"),
        (("plot", "none.h5"), "no landscape file"),
        (("plot", "CKPT"), "not an HDF5 file; it is a checkpoint: gradscape landscape makes surfaces of those"),
        (("landscape", "CKPT", "--data", "digits", "--steps", "5001", "-o", "OUT"), "2000"),
        (("landscape", "CKPT", "--data", "digits", "--grid", "0:1:2,0:1:2001", "-o", "OUT"), "at most 2000 points"),
        (("landscape", "CKPT", "--data", "digits", "-o", "/dev/null/out"), "/dev/null/out cannot be written: Not a"),
        (("landscape", "CKPT", "--data", "/dev", "-o", "OUT"), "`--data` '/dev' is a path: give folder:/dev"),
        (("convert", "none.h5", "--to", "stl"), "`--to` must be one of"),
        (("import", "CKPT", "--model", "resnet20", "--mean", "0,0", "--std", "1,1,1", "-o", "OUT"), "`--mean`"),
        (("train", "resnet20", "--data", "digits", "--recipe", "soup", "-o", "OUT"), "unknown `--recipe` 'soup'"),
        (("train", "resnet20", "--data", "digits", "--recipe", "upanet", "-o", "OUT"), "did you mean upanets"),
        (
            ("train", "resnet20", "--data", "digits", "--loss", "hinge", "-o", "OUT"),
            "`--loss` must be one of cross_ent",
        ),
        (("train", "resnet20", "resnet20", "--data", "digits", "-o", "OUT"), "`MODEL` must be different networks"),
    ],
)
def test_other_mistakes_are_one_line_too(
    gradscape: Command, checkpoint: Path, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    places = {"CKPT": str(checkpoint), "OUT": str(tmp_path / "out")}
    done = gradscape(*(places.get(argument, argument) for argument in arguments))
    assert done.code == 2, done.err
    assert text in done.err
    assert done.err.count("\n") == 1, done.err
    assert not (tmp_path / "out").exists()


def _stored_surface(path: Path, *, columns: int = 3, images: str = "a") -> Path:
    """A file of the loss alone, on a grid of two betas."""
    count = np.full((1, 2, columns), 4)
    blocks = BlockStatistics(count, 0.5 * count, 0.0 * count, count * np.nan, 0 * count, 9)
    origin = BlockStatistics.empty(1, (), 9)
    alphas, betas = np.arange(float(columns)), np.arange(2.0)
    Surface(alphas=alphas, betas=betas, blocks=blocks, origin=origin, meta={"blocks": [images]}).save(path)
    return path


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("A", "--difference"), "`--difference` needs two surfaces, A.h5 and B.h5, got 1"),
        (("A", "A", "A", "--difference"), "got 3"),
        (("A", "WIDER", "--difference"), "same alphas and betas"),
        (("A", "OTHERS", "--difference"), "same images"),
        (("A", "A", "--difference", "--value", "error"), "leave out `--value error`"),
        (("A", "A", "--difference", "--scale", "log"), "both signs"),
        (("A", "--value", "los"), "did you mean loss"),
        (("A", "--value", "error"), "was not measured"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    gradscape: Command, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    files = {
        "A": _stored_surface(tmp_path / "a.h5"),
        "WIDER": _stored_surface(tmp_path / "wider.h5", columns=4),
        "OTHERS": _stored_surface(tmp_path / "others.h5", images="b"),
    }
    done = gradscape("plot", *(files.get(argument, argument) for argument in arguments), "-o", tmp_path / "out")
    assert done.code == 2, done.err
    assert text in done.err
    assert done.err.count("\n") == 1, done.err
    assert not list(tmp_path.glob("out*"))
