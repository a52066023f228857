from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import evaluate_line, random_directions
from tests.landscape.networks import images_and_labels, small_net

IMAGES, LABELS = images_and_labels(24)


def _line(net: nn.Module, batches: Any = None, **options: Any) -> Any:
    direction, _ = random_directions(net, seed=0)
    return evaluate_line(net, batches or [(IMAGES, LABELS)], direction, [0.0, 1.0], **options)


def _energy_slopes(net: nn.Module, images: Tensor) -> Tensor:
    given = images.detach().requires_grad_()
    return torch.autograd.grad(net(given).sum(), given)[0].flatten(1)


@pytest.mark.parametrize("role", ["loss", "metric", "forward"])
def test_who_differentiates_without_gradients_reads_how_it_is_written(role: str) -> None:
    net = small_net()
    functions = {
        "loss": lambda output, labels: _energy_slopes(net, IMAGES[: len(labels)]).sum(dim=1),
        "metric": lambda output, labels: _energy_slopes(net, IMAGES[: len(labels)]).sum(dim=1) > 0,
        "forward": _energy_slopes,
    }
    with pytest.raises(ValueError, match=rf"`{role}` must turn gradients on .* `with torch.enable_grad\(\):`"):
        _line(net, **{role: functions[role]})


def test_what_differentiates_with_gradients_on_may_keep_its_graph() -> None:
    net = small_net()

    def loss(output: Tensor, images: Tensor) -> Tensor:
        with torch.enable_grad():
            return _energy_slopes(net, images).square().sum(dim=1) * net.get_parameter("7.weight").sum()

    line = _line(net, [(IMAGES, IMAGES)], loss=loss, metric=None)
    assert line.origin.loss == pytest.approx(loss(net(IMAGES), IMAGES).mean().item(), rel=1e-5)


@pytest.mark.parametrize("role", ["loss", "metric"])
def test_what_is_random_is_refused_unless_it_has_a_seed(role: str) -> None:
    def random(output: Tensor, labels: Tensor) -> Tensor:
        noise = torch.rand(len(labels))
        return output[:, 0] + noise if role == "loss" else noise > 0.5

    def seeded(output: Tensor, labels: Tensor) -> Tensor:
        torch.manual_seed(3)
        return random(output, labels)

    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=f"`{role}` must give the same number for the same output"):
        _line(small_net(), **{role: random})
    assert _line(small_net(), **{role: seeded}).count.min() == 24
    assert torch.equal(before, torch.get_rng_state())


def test_a_loss_that_compares_the_images_of_a_batch_is_refused() -> None:
    def contrastive(output: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(output @ output.T, torch.arange(len(output)), reduction="none")

    with pytest.raises(ValueError, match="`loss` must judge each image by itself"):
        _line(small_net(), loss=contrastive)


class _Finding(nn.Module):
    """For each image a dict with what was found in it, of another length from image to image."""

    def __init__(self, *, compares: bool = False) -> None:
        super().__init__()
        self.scores, self.compares = nn.Conv2d(3, 1, 3), compares

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        scores = self.scores(images).flatten(1)
        if self.compares:
            scores = scores - scores.mean()
        return [{"scores": one[: 4 + number % 3]} for number, one in enumerate(scores)]


def _found(output: list[dict[str, Tensor]], labels: Tensor) -> Tensor:
    return torch.stack([one["scores"].square().mean() for one in output])


def test_a_list_with_what_was_found_in_each_image_is_an_output_image_by_image() -> None:
    net = _Finding().eval()
    line = _line(net, loss=_found, metric=None)
    assert line.origin.loss == pytest.approx(_found(net(IMAGES), LABELS).mean().item(), rel=1e-5)


def test_a_list_whose_elements_depend_on_one_another_is_refused() -> None:
    with pytest.raises(ValueError, match="`model` must judge each image by itself"):
        _line(_Finding(compares=True).eval(), loss=_found, metric=None)


@pytest.mark.parametrize(("outside", "told"), [(1.5, "got 1.5"), (-1.0, "got -1"), (float("nan"), "got nan")])
def test_a_metric_that_is_neither_right_nor_wrong_is_refused(outside: float, told: str) -> None:
    """Sums of it would be no counts: errors above 1 or below 0."""

    def metric(output: Tensor, labels: Tensor) -> Tensor:
        return torch.full((len(labels),), outside)

    with pytest.raises(
        ValueError, match=rf"^`metric` must give 1 \(right\), 0 \(wrong\) or a share .* {told}: compare"
    ):
        _line(small_net(), metric=metric)


def test_a_metric_that_leaves_its_range_far_from_the_origin_is_refused_there() -> None:
    net = small_net()
    with torch.no_grad():
        there = net(IMAGES)
    with pytest.raises(ValueError, match=r"^`metric` must give 1 \(right\), 0"):
        _line(net, metric=lambda output, labels: 9 * (output - there[: len(output)]).abs().amax(dim=1))


def test_a_share_that_rounding_puts_beyond_its_range_is_taken_as_its_end() -> None:
    for share, error in ((1 + 1e-7, 0.0), (-1e-7, 1.0)):  # as the ratio of two sums may come out
        line = _line(small_net(), metric=lambda output, labels, share=share: torch.full((len(labels),), share))
        assert line.error.tolist() == [error, error]


def test_a_metric_may_give_shares() -> None:
    line = _line(small_net(), metric=lambda output, labels: torch.full((len(labels),), 0.25))
    assert line.error.tolist() == [0.75, 0.75]
