import numpy as np
import pytest
import torch
from torch import Tensor

from gradscape.landscape import find_span
from gradscape.landscape.span import SPANS, judge_span
from tests.landscape.networks import Coordinates, images_and_labels
from tests.landscape.test_surface import surface_of

DIRECTIONS = ({"first": torch.ones(1, 1)}, {"second": torch.ones(1, 1)})


def _bowl(output: Tensor, labels: Tensor) -> Tensor:
    return output.square().sum(dim=1) + 0.01 * labels


def _cliff(output: Tensor, labels: Tensor) -> Tensor:
    """One corner towers over all the rest beyond a radius of 0.3."""
    corner = (output[:, 0] > 0.3) & (output[:, 1] > 0.3)
    return output.square().sum(dim=1) + 0.01 * labels + 1e4 * corner * output.square().sum(dim=1) ** 8


def _overflow(output: Tensor, labels: Tensor) -> Tensor:
    return torch.where(output.abs().amax(dim=1) > 0.6, torch.nan, _bowl(output, labels))


def _noise(output: Tensor, labels: Tensor) -> Tensor:
    return 100.0 * labels + output.sum(dim=1)


def test_a_bowl_is_visible_at_once() -> None:
    search = find_span([(Coordinates(), DIRECTIONS)], [images_and_labels(300)], loss=_bowl)
    assert (search.span, search.visible, len(search.trials)) == (1.0, True, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "span", "criterion"), [(_cliff, 0.25, "lie below 0.02"), (_overflow, 0.5, "not finite")]
)
def test_the_widest_visible_span_wins_and_the_failures_are_told(loss, span: float, criterion: str) -> None:  # type: ignore[no-untyped-def]
    search = find_span([(Coordinates(), DIRECTIONS)], [images_and_labels(300)], loss=loss)
    assert search.span == span
    assert [trial.span for trial in search.trials] == list(SPANS[: SPANS.index(span) + 1])
    assert all(any(criterion in reason for reason in trial.failed) for trial in search.trials[:-1])


@pytest.mark.slow
def test_models_that_are_compared_take_the_smallest_of_their_spans() -> None:
    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return _overflow(output, labels)

    wide, narrow = DIRECTIONS, tuple({name: 3 * tensor for name, tensor in d.items()} for d in DIRECTIONS)
    search = find_span([(Coordinates(), wide), (Coordinates(), narrow)], [images_and_labels(300)], loss=loss)
    assert [(trial.model, trial.span) for trial in search.trials if trial.visible] == [(0, 0.5), (1, 0.125)]
    assert search.span == 0.125


@pytest.mark.slow
def test_where_nothing_is_visible_the_smallest_span_is_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    search = find_span([(Coordinates(), DIRECTIONS)], [images_and_labels(300)], loss=_noise)
    assert (search.span, search.visible, len(search.trials)) == (2**-8, False, 9)
    assert "no span makes the landscape of model 0 visible" in caplog.text
    assert all("median standard errors" in trial.failed[0] for trial in search.trials)


def test_only_the_first_256_images_are_taken() -> None:
    seen: set[float] = set()
    images, labels = torch.rand(600, 3, 5, 7), torch.arange(600.0)

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        assert len(labels) <= 64  # blocks of 64
        seen.update(labels.tolist())
        return _bowl(output, 0.01 * labels)

    batches = list(zip(images.split(300), labels.split(300), strict=True))
    find_span([(Coordinates(), DIRECTIONS)], batches, loss=loss)
    assert seen == set(range(256))


def test_the_criteria_are_those_of_the_definition() -> None:
    flat = np.ones((11, 11))
    flat[0, 0] = 1000
    trial = judge_span(surface_of(flat), 0, 1.0)
    assert not trial.visible
    assert trial.flat_share == 120 / 121
    flat[:6] = np.linspace(30, 1000, 66).reshape(6, 11)
    assert judge_span(surface_of(flat), 0, 1.0).visible
    assert judge_span(surface_of(flat), 0, 1.0).flat_share < 0.5
    flat[5, 5] = np.inf
    assert judge_span(surface_of(flat), 0, 1.0).nonfinite == 1


def test_a_trial_counts_the_decades_which_decide_nothing() -> None:
    wide = np.linspace(0.02, 20, 121).reshape(11, 11)
    trial = judge_span(surface_of(wide), 0, 1.0)
    assert trial.decades == pytest.approx(3)
    assert trial.visible
    assert judge_span(surface_of(wide - 0.5), 0, 1.0).decades == 0  # a negative loss has no logarithm
    wide[3, 4] = np.inf
    assert judge_span(surface_of(wide), 0, 1.0).decades == pytest.approx(3)


def test_of_a_single_image_no_number_is_made_up_for_the_noise() -> None:
    class Drawn(list[tuple[Tensor, Tensor]]):
        population = 9

    search = find_span([(Coordinates(), DIRECTIONS)], Drawn([images_and_labels(1)]), loss=_bowl)
    assert not any("nan" in reason for trial in search.trials for reason in trial.failed)
    assert any("the standard error is unknown" in reason for reason in search.trials[0].failed)
