"""A curve beside the straight line: the same images, points and statistics, and a plane that shows it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradscape.data import load_split
from gradscape.figures.caption import caption_of
from gradscape.figures.surfaces.curve_wording import describe_curve, describe_highest
from gradscape.figures.surfaces.line_wording import alpha_label
from gradscape.figures.surfaces.lines import figure_line
from gradscape.figures.surfaces.wording import result_names
from gradscape.landscape import Curve, Line, Options, Surface, Trajectory, measure_detour
from gradscape.models import Classifier
from gradscape.studies.curves import CurvePath, fit_beside, settled_norm
from gradscape.studies.line import make_path
from gradscape.studies.recalibration import load_calibration

SPLIT = load_split("digits", "test", limit=64, image_size=8)
TAUGHT = load_split("digits", "train", limit=129, image_size=8)


def network(*, seed: int = 0, norm: bool = True, **meta: Any) -> Classifier:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 4, 3), *([nn.BatchNorm2d(4)] if norm else []), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)]
    about = {"name": "own", "num_classes": 10, "image_size": 8, "labels": None, "mean": [0.5] * 3, "std": [0.25] * 3}
    return Classifier(nn.Sequential(*layers), {**about, **meta}).eval()


def path_between(folder: Path, first: Classifier, second: Classifier, *, epochs: int = 3, **options: Any) -> CurvePath:
    models = {"one": first, "two": second}
    line = make_path(models, SPLIT, span=1.0, steps=5, seed=0)
    how = {"kind": "bezier", "learning_rate": 0.03, "seed": 0, "options": Options(), **options}
    way = fit_beside(line, models, TAUGHT, folder / "curve.safetensors", epochs=epochs, **how)
    assert way is not None
    return way


def options_for(first: Classifier, second: Classifier) -> Options:
    norm = settled_norm({"one": first, "two": second}, None)
    calibration = load_calibration(norm, "digits", image_size=8)
    return Options(batch_norm=norm, calibration=calibration, precision="fp32", batch_size=32)


def silent(*_: object) -> None:
    """Reports go nowhere."""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[CurvePath, Line, Line, Surface, Path]:
    folder, first, second = tmp_path_factory.mktemp("out"), network(), network(seed=1)
    way, options = path_between(folder, first, second), options_for(first, second)
    straight = way.line.evaluate(SPLIT, folder / "line.h5", report=silent, options=options)
    given: dict[str, Any] = {"until": None, "report": silent, "options": options}
    along = way.evaluate(straight, SPLIT, folder / "curve.h5", **given)
    plane = way.evaluate_plane(SPLIT, folder / "plane.h5", steps=4, **given)
    assert plane is not None
    return way, straight, along, plane, folder


Evaluated = tuple[CurvePath, Line, Line, Surface, Path]


def test_line_and_curve_share_points_images_and_statistics(evaluated: Evaluated) -> None:
    _, straight, along, _, folder = evaluated
    np.testing.assert_array_equal(along.alphas, straight.alphas)
    assert along.meta["blocks"] == straight.meta["blocks"]
    for line in (straight, along):
        assert line.meta["batch_norm"]["statistics"] == "recalibrated"
    np.testing.assert_allclose(along.loss[[0, -1]], straight.loss[[0, -1]], rtol=1e-4)
    np.testing.assert_array_equal(Line.load(folder / "curve.h5").loss, along.loss)


def test_the_file_tells_the_curve_its_training_images_and_how_high_it_is(evaluated: Evaluated) -> None:
    way, straight, along, _, folder = evaluated
    told = Line.load(folder / "curve.h5").meta["curve"]
    assert (told["kind"], told["length"], told["epochs"]) == ("bezier", pytest.approx(way.curve.length), 3)
    assert told["taught"] == {"data": "digits", "split": "train"}
    for value in ("loss", "error"):
        found = measure_detour(along, straight, value=value)
        assert told["highest"][value]["difference"] == found.difference
        assert told["highest"][value]["verdict"] == found.verdict


def test_the_plane_has_the_networks_the_curve_and_the_bend_at_their_losses(evaluated: Evaluated) -> None:
    _, _, along, plane, _ = evaluated
    path, bend = (Trajectory.from_entry(entry) for entry in plane.meta["trajectories"])
    assert (path.labels[0], path.labels[-1]) == ("one", "two")
    assert (path.alphas[0], path.betas[0], path.alphas[-1], path.betas[-1]) == pytest.approx((0, 0, 1, 0))
    assert (bend.labels, bend.betas[0]) == (("bend",), 1)
    assert plane.alphas.min() < 0 < 1 < plane.alphas.max()
    assert plane.betas.min() < 0 < 1 < plane.betas.max()
    assert float(plane.origin.loss) == pytest.approx(float(along.loss[0]), rel=1e-4)
    assert plane.meta["curve"]["kind"] == "bezier"


def test_words_and_pictures_tell_line_and_curve_apart(evaluated: Evaluated) -> None:
    _, straight, along, _, _ = evaluated
    assert result_names([straight, along]) == ["one → two", "one → two, Bézier curve"]
    assert alpha_label([straight]) == "alpha (0: first network, 1: second)"
    assert alpha_label([along]) == "t along the curve (0: first network, 1: second)"
    assert alpha_label([straight, along]) == "alpha or t (0: first network, 1: second)"
    caption = caption_of(figure_line([straight, along]))
    said = describe_curve(along.meta)
    assert said.startswith("Bézier curve of length ")
    assert said.endswith(" apart, fitted in 3 epochs on digits (train)")
    assert said in caption
    once = {**along.meta["curve"], "epochs": 1}
    assert describe_curve({**along.meta, "curve": once}).endswith("fitted in 1 epoch on digits (train)")
    for sentence in describe_highest(along):
        assert sentence in caption
    assert describe_curve(straight.meta) == ""
    assert describe_highest(straight) == []


def highest(**found: Any) -> Any:
    usual = {"value": "loss", "curve_highest": 0.5, "curve_at": 0.25, "line_highest": 2.0, "line_at": 0.5}
    usual |= {"difference": -1.5, "stderr": 0.125, "low": -2.0, "high": -1.0, "images": 1000, "verdict": "lower"}
    known = {name: value for name, value in {**usual, **found}.items() if value is not None}
    return type("Told", (), {"meta": {"curve": {"kind": "chain", "highest": {known["value"]: known}}}})()


@pytest.mark.parametrize(
    ("found", "end"),
    [
        ({}, ": the curve is lower by 1.5 ± 0.12 (paired standard error over 1,000 images)"),
        ({"stderr": 0.0}, ": the curve is lower by 1.5 (all 1,000 images)"),
        ({"stderr": None}, ": 1.5 lower on these 1,000 images, too few for a standard error"),
        ({"stderr": None, "difference": 0.0, "verdict": "not told apart"}, ": the same on these 1,000 images"),
        (
            {"verdict": "not told apart"},
            ": not told apart, the difference is -1.5 ± 0.12 (paired standard error over 1,000 images)",
        ),
        ({"difference": None, "line_highest": None}, "not finite along the line (alpha 0.5)"),
        ({"verdict": "higher", "difference": 0.5}, ": the curve is higher by 0.5 ± 0.12 (paired standard error over"),
    ],
)
def test_a_curve_that_is_lower_or_is_not_is_said_to_be_so(found: dict[str, Any], end: str, unchecked: None) -> None:
    (said,) = describe_highest(highest(**found))
    assert said.startswith("highest loss 0.5 along the curve (t 0.25), ")
    assert end in said.replace("−", "-")


def test_errors_are_told_in_percent(unchecked: None) -> None:
    (said,) = describe_highest(highest(value="error", line_highest=0.75, difference=-0.25, stderr=0.01))
    assert said.startswith("highest error 50 % along the curve (t 0.25), 75 % along the line (alpha 0.5): ")
    assert "the curve is lower by 25 % ± 1 %" in said


def test_a_straight_curve_has_no_plane_and_that_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    way = path_between(tmp_path, network(), network(), epochs=1)
    with caplog.at_level(logging.WARNING):
        given: dict[str, Any] = {"until": None, "report": silent, "options": Options()}
        assert way.evaluate_plane(SPLIT, tmp_path / "plane.h5", steps=3, **given) is None
    assert "the curve lies in no plane, so that none is drawn" in caplog.text


def test_networks_without_batch_norm_need_no_recalibration(tmp_path: Path) -> None:
    nets = {"one": network(norm=False), "two": network(norm=False, seed=1)}
    assert settled_norm(nets, None) is None
    assert settled_norm({"one": network(), "two": network(seed=1)}, None) == "recalibrated"
    assert settled_norm({"one": network(), "two": network(seed=1)}, "moving") == "moving"


def test_the_images_normalization_moves_along_while_the_curve_is_fitted(tmp_path: Path) -> None:
    first, second = network(mean=[0.1, 0.2, 0.3]), network(seed=1, mean=[0.6, 0.5, 0.4], std=[0.5, 1.0, 2.0])
    curve = path_between(tmp_path, first, second, epochs=1).curve
    assert not {"mean", "std"} & curve.bend.keys()
    torch.testing.assert_close(curve.point(0.5)["mean"], (first.mean + second.mean) / 2)
    assert isinstance(Curve.load(tmp_path / "curve.safetensors"), Curve)
