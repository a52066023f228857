from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from gradscape.landscape import Surface, evaluate_line, evaluate_surface, random_directions
from gradscape.landscape.estimator import grid_levels
from tests.landscape.test_resume import StoppedError, assert_equal_to_the_bit, stopped_after

AXIS = np.linspace(-1, 1, 13)
IMAGES = 640


@pytest.fixture(scope="module")
def subject() -> tuple[nn.Module, list[Any]]:
    """A small network that has learned its images, and these."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % 5
    centers = torch.randn(5, 12, generator=generator)
    images = (centers[labels] + 0.7 * torch.randn(IMAGES, 12, generator=generator)).reshape(IMAGES, 3, 2, 2)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 5))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return net, [(images, labels)]


def _evaluate(subject: tuple[nn.Module, list[Any]], **options: Any) -> Surface:
    net, batches = subject
    settings = {"batch_size": 32, "precision": "fp32", "estimator": "regression", **options}
    return evaluate_surface(net, batches, random_directions(net, seed=0), AXIS, AXIS, **settings)


@pytest.mark.slow
def test_a_tolerance_is_reached_with_fewer_passes_than_by_plain_means(subject: tuple[nn.Module, list[Any]]) -> None:
    exact = _evaluate(subject, estimator="mean")
    found = _evaluate(subject, tolerance=0.004)
    plain = _evaluate(subject, estimator="mean", tolerance=0.004)
    span = np.ptp(exact.loss)
    assert np.median(found.loss_stderr) < 0.0041 * span
    levels = found.meta["estimator"]["levels"]
    assert sum(level["points"] * level["images"] for level in levels) < 0.8 * plain.count.sum()
    low, high = found.interval()
    held = (low <= exact.loss + 1e-9) & (exact.loss - 1e-9 <= high)
    assert held.mean() > 0.85
    assert np.abs(found.error - exact.error).max() < 0.15
    # What was said of each level is what its points have seen.
    sample = found.sample
    assert sample is not None
    level_of = grid_levels([AXIS, AXIS]).level
    seen = sample.blocks.images[1:]
    assert all(set(seen[level_of == number]) == {level["images"]} for number, level in enumerate(levels))


@pytest.mark.slow
def test_without_an_end_it_is_the_plain_mean_to_rounding(subject: tuple[nn.Module, list[Any]]) -> None:
    exact, found = _evaluate(subject, estimator="mean"), _evaluate(subject)
    assert found.loss == pytest.approx(exact.loss, rel=1e-12)
    assert found.error == pytest.approx(exact.error, rel=1e-12)
    assert not found.loss_stderr.any()


@pytest.mark.slow
@pytest.mark.parametrize("passes", [30, 400, 1200])
def test_what_was_stopped_goes_on_to_the_same_bits(
    subject: tuple[nn.Module, list[Any]], passes: int, tmp_path: Path
) -> None:
    whole = _evaluate(subject, tolerance=0.004, path=tmp_path / "whole.h5")
    with stopped_after(passes), pytest.raises(StoppedError):
        _evaluate(subject, tolerance=0.004, path=tmp_path / "part.h5")
    assert Surface.load(tmp_path / "part.h5").sample is not None
    found = _evaluate(subject, tolerance=0.004, path=tmp_path / "part.h5")
    assert_equal_to_the_bit(found, whole)
    stored = Surface.load(tmp_path / "part.h5")
    assert_equal_to_the_bit(stored, whole)
    assert stored.sample is not None
    assert whole.sample is not None
    assert stored.sample.rounds == whole.sample.rounds
    for one, other in zip(stored.sample.loss, whole.sample.loss, strict=True):
        np.testing.assert_array_equal(one.among, other.among)


@pytest.mark.slow
def test_a_finished_file_goes_on_to_a_smaller_tolerance(subject: tuple[nn.Module, list[Any]], tmp_path: Path) -> None:
    path = tmp_path / "surface.h5"
    first = _evaluate(subject, tolerance=0.02, path=path)
    second = _evaluate(subject, tolerance=0.01, path=path)
    assert np.median(second.loss_stderr) < np.median(first.loss_stderr)


@pytest.mark.slow
def test_levels_that_were_left_behind_return(subject: tuple[nn.Module, list[Any]], tmp_path: Path) -> None:
    path = tmp_path / "surface.h5"
    first = _evaluate(subject, tolerance=0.01, path=path)
    fine, coarse = (first.meta["estimator"]["levels"][level]["images"] for level in (-1, 0))
    assert fine < coarse  # else nothing was left behind
    exact, found = _evaluate(subject, estimator="mean"), _evaluate(subject, path=path)
    assert {level["images"] for level in found.meta["estimator"]["levels"]} == {IMAGES}
    assert found.loss == pytest.approx(exact.loss, rel=1e-12)
    whole, stored = _evaluate(subject), Surface.load(path)
    assert whole.sample is not None
    assert stored.sample is not None
    for kind in ("loss", "error"):
        for one, other in zip(getattr(stored.sample, kind), getattr(whole.sample, kind), strict=True):
            np.testing.assert_array_equal(one.own, other.own)
            np.testing.assert_array_equal(one.among, other.among)


@pytest.mark.slow
def test_images_that_can_be_had_once_are_not_asked_for_again(
    subject: tuple[nn.Module, list[Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Once:
        """A source of images that an iteration uses up."""

        num_images = IMAGES

        def __init__(self) -> None:
            self._left = iter(subject[1])

        def __iter__(self) -> "Once":
            return self

        def __next__(self) -> Any:
            return next(self._left)

    net, _ = subject
    path = tmp_path / "surface.h5"
    first = _evaluate((net, Once()), tolerance=0.01, path=path)  # type: ignore[arg-type]
    second = _evaluate((net, Once()), tolerance=0.0001, path=path)  # type: ignore[arg-type]
    assert second.meta["estimator"]["levels"][-1] == first.meta["estimator"]["levels"][-1]
    assert "can be gone through only once" in caplog.text


@pytest.mark.parametrize(
    ("options", "estimator"),
    [
        ({"tolerance": 0.5}, "regression"),
        ({"seconds": 600.0}, "regression"),
        ({}, "mean"),
        ({"tolerance": 0.5, "side": 12}, "mean"),
        ({"tolerance": 0.5, "images": 1023}, "mean"),
    ],
)
def test_the_estimator_is_the_one_that_pays(options: dict[str, Any], estimator: str) -> None:
    chosen = dict(options)
    side, images = chosen.pop("side", 13), chosen.pop("images", 1024)
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    batches = [(torch.randn(images, 4), torch.arange(images) % 3)]
    axis = np.linspace(-1, 1, side)
    found = evaluate_surface(net, batches, random_directions(net, seed=0), axis, axis, **chosen)
    assert (found.sample is not None) == (estimator == "regression")


def test_a_file_that_is_saved_from_the_first_point_on_goes_on(
    subject: tuple[nn.Module, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, ((images, labels),) = subject
    few = (net, [(images[:64], labels[:64])])
    monkeypatch.setattr("gradscape.landscape.engine.rounds._SAVE_SECONDS", 0.0)
    monkeypatch.setattr("gradscape.landscape.engine.rounds._SHARE", 0)
    for passes in (1, 2, 60):
        with stopped_after(passes), pytest.raises(StoppedError):
            _evaluate(few, path=tmp_path / "part.h5")
        assert Surface.load(tmp_path / "part.h5").sample is not None
    assert_equal_to_the_bit(_evaluate(few, path=tmp_path / "part.h5"), _evaluate(few))


def test_a_line_follows_the_plan_of_an_estimated_surface(subject: tuple[nn.Module, list[Any]], tmp_path: Path) -> None:
    net, batches = subject
    _evaluate(subject, tolerance=0.5, path=tmp_path / "surface.h5")
    line = evaluate_line(net, batches, random_directions(net, seed=0)[0], AXIS, plan=tmp_path / "surface.h5")
    assert line.meta["plan"]["block_size"] == 16


def test_files_of_one_estimator_are_not_gone_on_with_by_the_other(
    subject: tuple[nn.Module, list[Any]], tmp_path: Path
) -> None:
    path = tmp_path / "surface.h5"
    _evaluate(subject, tolerance=0.02, path=path)
    with pytest.raises(ValueError, match="another run \\(other estimator"):
        _evaluate(subject, estimator="mean", tolerance=0.02, path=path)


def test_lines_and_images_of_unknown_number_are_refused(subject: tuple[nn.Module, list[Any]]) -> None:
    net, batches = subject
    direction = random_directions(net, seed=0)[0]
    with pytest.raises(ValueError, match="is for surfaces"):
        evaluate_line(net, batches, direction, AXIS, estimator="regression")
    with pytest.raises(ValueError, match="how many images"):
        _evaluate((net, iter(batches)), tolerance=0.01)  # type: ignore[arg-type]


@pytest.mark.slow
def test_differences_and_metrics_take_the_estimates(subject: tuple[nn.Module, list[Any]]) -> None:
    from gradscape.landscape import measure_landscape

    found, exact = _evaluate(subject, tolerance=0.004), _evaluate(subject, estimator="mean")
    metrics, truth = measure_landscape(found), measure_landscape(exact)
    for name in ("roughness", "volume"):
        if hasattr(metrics, name):
            assert getattr(metrics, name) == pytest.approx(getattr(truth, name), rel=0.3)
    difference = found.difference(found)
    assert not difference.loss.any()
    assert not difference.loss_stderr.any()


@pytest.mark.parametrize(
    ("item", "value", "said"),
    [
        ("rounds", np.array([[0, 1, 9]]), "each where the one before has ended"),
        ("rounds", np.array([[1, 2, 1]]), "each where the one before has ended"),
        ("1/count", np.full((8, 120), -1), "must not be negative"),
        ("rounds", np.array([[0, 7, 2], [7, 8, 1]]), "must have 7 blocks"),
        ("1/m2", np.full((8, 120), -1.0), "m2` must not be negative"),
        ("1/loss_own", np.zeros((4, 3, 4)), "1/loss_own"),
        ("0/mean", np.zeros((2, 2)), "0/mean"),
    ],
)
def test_a_damaged_sample_is_refused_in_one_sentence(
    subject: tuple[nn.Module, list[Any]], item: str, value: np.ndarray, said: str, tmp_path: Path
) -> None:
    net, ((images, labels),) = subject
    path = tmp_path / "surface.h5"
    _evaluate((net, [(images[:128], labels[:128])]), path=path)
    with h5py.File(path, "a") as file:
        del file.attrs["gradscape_crc32"]
        del file[f"gradscape/sample/{item}"]
        file[f"gradscape/sample/{item}"] = value
    with pytest.raises(ValueError, match=said) as refused:
        Surface.load(path)
    assert "\n" not in str(refused.value)
