from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gradscape.cli import main


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def gradscape(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command, run in this process."""

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr("sys.argv", ["gradscape", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(int(ended.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network for digits at 16×16, hardly trained."""
    import torch

    from gradscape.models import create_model, save_checkpoint

    path = tmp_path_factory.mktemp("checkpoint") / "model.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create_model("resnet20", num_classes=10, image_size=16)
    save_checkpoint(path, net, name="resnet20", num_classes=10, image_size=16, mean=(0.3,) * 3, std=(0.4,) * 3)
    return path
