from collections.abc import Sequence
from pathlib import Path

import pytest

from gradscape.data import load_split
from gradscape.landscape import Options, Surface
from gradscape.landscape.engine import plan_trial
from gradscape.studies import estimates
from gradscape.studies.estimates import Searched, estimate
from gradscape.studies.networks import load_models
from gradscape.studies.planes import Subject, make_subjects, search_span, span_axes
from tests.studies.test_planes import save

AXES = span_axes(1.0, 5)


@pytest.fixture(autouse=True)
def _few_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_trial, "_MEASURED", 0.0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("net") / "model.safetensors")


@pytest.fixture
def subjects(checkpoint: Path, tmp_path: Path) -> list[Subject]:
    split = load_split("digits", "train", limit=60)
    return make_subjects(load_models([checkpoint], "cpu"), split, tmp_path / "out", seeds=[0])


def test_an_estimate_has_the_points_the_images_and_every_part_of_the_run(subjects: list[Subject]) -> None:
    split = load_split("digits", "train", limit=60, batch_size=20)
    told = estimate(subjects, split, AXES, started=2.0)
    assert (told.points, told.images) == (26, 60)
    assert list(told.parts) == ["start", "planning", "evaluating"]
    assert told.parts["start"] == 2
    assert told.seconds == sum(told.parts.values()) > 2
    assert "26 points × 60 images: about" in str(told)
    assert "start 2 s" in str(told)
    limited = estimate(subjects, split, AXES, options=Options(seconds=100.0, tolerance=0.1))
    assert "in all; less if --time or --tolerance ends it before" in str(limited)


@pytest.mark.slow
def test_a_search_counts_unless_it_is_remembered(
    subjects: list[Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = load_split("digits", "train", limit=20)
    monkeypatch.setattr(estimates, "rehearse_search", lambda *_, **__: 3)
    searched = Searched(split, tmp_path / "span.json")
    told = estimate(subjects, split, AXES, searched=searched)
    named = "span search (3 trials of 122 points × 20 images)"
    # Each of them has more points than the surface, on as many images; planning comes on top of both.
    evaluating = told.parts["evaluating"]
    assert told.parts[named] == pytest.approx(3 * 122 / 26 * evaluating + told.parts["planning"], rel=0.05)
    search_span(subjects, split, searched.memory)
    assert named not in estimate(subjects, split, AXES, searched=searched).parts


def test_pictures_are_drawn_elsewhere_and_counted_for_every_network(checkpoint: Path, tmp_path: Path) -> None:
    split = load_split("digits", "train", limit=20)
    models = load_models([checkpoint], "cpu")
    subjects = make_subjects(models, split, tmp_path / "out", seeds=[0, 1])
    drawn = []

    def draw(some: Sequence[Subject], surfaces: Sequence[Surface], folder: Path) -> None:
        assert folder.is_dir()
        assert [one.folder for one in some] == [folder]
        assert surfaces[0].loss.shape == (5, 5)
        drawn.append(folder)

    told = estimate(subjects, split, AXES, draw=draw)
    assert told.parts["drawing"] > 0
    assert len(drawn) == 1
    assert not drawn[0].exists()
    assert not (tmp_path / "out").exists()
