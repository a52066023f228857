from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from gradscape.data import load_split
from gradscape.landscape import Line, SpanSearch, Surface
from gradscape.models import load_checkpoint
from gradscape.studies import planes, subjects
from gradscape.studies.report import write_report
from tests.cli.conftest import Command

DATA = ("--data", "digits", "--limit", 32)

SOURCE = """
from torch.nn import functional as F


def squared(output, labels):
    return (output.softmax(1) - F.one_hot(labels, 10)).square().sum(1)


def even(output, labels):
    return output.argmax(1) % 2 == labels % 2
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's in the current folder."""
    (tmp_path / "losses_of_their_own.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return "losses_of_their_own"


@pytest.mark.slow
def test_a_landscape_of_a_users_loss_and_metric(
    gradscape: Command, checkpoint: Path, tmp_path: Path, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def found_at_once(*_: object, loss: Callable[..., Any], **__: object) -> SpanSearch:
        searched.append(loss)
        return SpanSearch(0.5, True, ())

    monkeypatch.setattr(planes, "find_span", found_at_once)
    monkeypatch.setattr(subjects, "draw_subjects", lambda *_, **__: [])  # other tests look at pictures
    functions = ("--loss", f"{own}:squared", "--metric", f"{own}:even")
    done = gradscape("landscape", checkpoint, *DATA, "--steps", 3, *functions, "-q", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    surface = Surface.load(tmp_path / "out" / "surface.h5")
    images, labels = next(iter(load_split("digits", "train", image_size=16, limit=32)))
    output = load_checkpoint(checkpoint)(images)
    wanted = (output.softmax(1) - F.one_hot(labels, 10)).square().sum(1).mean().item()
    assert surface.origin.loss == pytest.approx(wanted, rel=1e-5)
    assert surface.origin.error == pytest.approx((output.argmax(1) % 2 != labels % 2).double().mean().item())
    assert (surface.meta["loss"], surface.meta["metric"]) == ("squared", "even")
    assert [loss.__name__ for loss in searched] == ["squared"]
    assert gradscape("landscape", checkpoint, *DATA, "--dry-run", *functions, "-o", tmp_path / "dry").code == 0
    page = write_report([tmp_path / "out"], tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"--loss {own}:squared --metric {own}:even" in page


def test_a_line_of_a_named_loss_without_a_metric(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    done = gradscape("line", checkpoint, *DATA, "--steps", 3, "--metric", "top5", "-o", tmp_path)
    assert done.code == 0, done.err
    line = Line.load(tmp_path / "line.h5")
    assert 0.2 < line.origin.error < 0.8
    assert line.meta["metric"] == "top5"


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--loss", "crossentropy", "known: cross_entropy, bce_with_logits"),
        ("--loss", "ohem", "`--loss` ohem is the mean cross-entropy of the hardest half of a training batch"),
        ("--metric", "nowhere_at_all:metric", "cannot import `--metric` 'nowhere_at_all:metric'"),
        ("--loss", "bce_with_logits", "`--loss` needs a label for each output"),
    ],
)
@pytest.mark.parametrize("command", ["landscape", "line"])
def test_a_mistake_is_one_line(
    gradscape: Command, checkpoint: Path, tmp_path: Path, command: str, option: str, value: str, message: str
) -> None:
    done = gradscape(command, checkpoint, *DATA, "--span", 1, "--steps", 3, option, value, "-o", tmp_path / "out")
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert torch.is_grad_enabled()
