from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain import DecisionMap, decision_map, gradient_map
from gradscape.models import create_model

SHAPE = (3, 4, 5)
PIXELS = 60


class Linear(nn.Module):
    """Logits w·x + b of whole images."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight.T + self.bias


def linear(classes: int = 4, seed: int = 0) -> Linear:
    generator = torch.Generator().manual_seed(seed)
    return Linear(torch.randn(classes, PIXELS, generator=generator), torch.randn(classes, generator=generator))


def images(count: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def point(given: Tensor, alpha: float, beta: float) -> Tensor:
    """An image of the plane through three, by Gram and Schmidt."""
    one, two, three = given.double()
    first = (two - one) / (two - one).norm()
    rest = (three - one) - ((three - one) * first).sum() * first
    return one + alpha * first + beta * rest / rest.norm()


def state(net: nn.Module) -> list[object]:
    """All that a call must leave alone."""
    tensors = [one.detach().numpy().tobytes() for one in net.state_dict().values()]
    parameters = [(one.requires_grad, one.grad is None) for one in net.parameters()]
    modules = [(one.training, len(one._forward_hooks)) for one in net.modules()]
    return [tensors, parameters, modules, torch.is_grad_enabled(), torch.get_rng_state().tolist()]


def test_regions_of_a_linear_classifier_are_those_of_its_planes() -> None:
    given = images()
    net = linear(2)
    found = decision_map(net, given, steps=23, margin=0.5)
    # w·(x0 + αu + βv) + b is linear in α and β, so that the two classes have half-planes.
    ends = [net(point(given, *place)[None].float())[0].diff().item() for place in ((0, 0), (1, 0), (0, 1))]
    alphas, betas = np.meshgrid(found.alphas, found.betas)
    margin = ends[0] + alphas * (ends[1] - ends[0]) + betas * (ends[2] - ends[0])
    np.testing.assert_array_equal(found.class_index, margin > 0)
    np.testing.assert_allclose(found.confidence, 1 / (1 + np.exp(-np.abs(margin))), atol=2e-5)


def test_images_lie_at_their_true_distances() -> None:
    given = images()
    found = decision_map(linear(), given, steps=9)
    for first in range(3):
        for second in range(3):
            wanted = (given[first] - given[second]).norm().item()
            assert np.linalg.norm(found.positions[first] - found.positions[second]) == pytest.approx(wanted, rel=1e-5)
    for place, image in zip(found.positions, given, strict=True):
        np.testing.assert_allclose(point(given, *place), image, atol=1e-6)
    assert found.positions[0].tolist() == [0, 0]
    assert found.positions[1, 1] == 0
    np.testing.assert_array_equal(found.image_class, linear()(given).argmax(1))


def test_grid_is_even_and_goes_beyond_by_the_margin() -> None:
    found = decision_map(linear(), images(), steps=21, margin=0.25)
    extent = np.ptp(found.positions, axis=0).max()
    steps = np.concatenate([np.diff(found.alphas), np.diff(found.betas)])
    np.testing.assert_allclose(steps, 1.5 * extent / 20)
    for axis, places in ((found.alphas, found.positions[:, 0]), (found.betas, found.positions[:, 1])):
        assert axis.min() <= places.min() - 0.25 * extent + 1e-9
        assert axis.max() >= places.max() + 0.25 * extent - 1e-9
    assert max(found.class_index.shape) == 21


def test_inside_is_where_all_pixels_are_in_range_and_nothing_is_clipped() -> None:
    given, net = images(), linear()
    found = decision_map(net, given, steps=15, margin=0.4, batch_size=7)
    for row, beta in enumerate(found.betas):
        for column, alpha in enumerate(found.alphas):
            image = point(given, alpha, beta)
            assert found.excess[row, column] == pytest.approx(float(max(-image.min(), image.max() - 1)), abs=1e-6)
            assert found.class_index[row, column] == net(image[None].float()).argmax()
    assert 0 < found.inside.mean() < 1
    assert found.inside[np.abs(found.betas).argmin() + 1, np.abs(found.alphas - found.positions[:, 0].mean()).argmin()]


@pytest.mark.parametrize("norm", ["sign", "l2"])
def test_loss_along_a_gradient_is_that_of_the_images_there(norm: str) -> None:
    image, net = images(1)[0], linear()
    found = gradient_map(net, image, class_index=2, norm=norm, radius=0.3, steps=5, seed=3)  # type: ignore[arg-type]
    leaf = image.clone().requires_grad_()
    start = F.cross_entropy(net(leaf[None]), torch.tensor([2]))
    (gradient,) = torch.autograd.grad(start, leaf)
    first = gradient.sign() if norm == "sign" else gradient / gradient.norm()
    for column, alpha in enumerate(found.alphas):
        loss = F.cross_entropy(net((image + alpha * first)[None]), torch.tensor([2]))
        assert found.loss[2, column] == pytest.approx(loss.item(), rel=1e-4)
    assert found.loss[2, 2] == pytest.approx(start.item(), rel=1e-5)
    assert (found.label, found.norm) == (2, norm)
    assert np.all(np.diff(found.loss[2]) > 0)  # of a linear network it rises all the way


def test_random_direction_is_the_seeds_and_at_right_angles() -> None:
    image, net = images(1)[0], linear()
    one, same, other = (gradient_map(net, image, norm="l2", steps=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.loss, same.loss)
    assert not np.array_equal(one.loss, other.loss)
    # To first order the loss does not change along it.
    middle = gradient_map(net, image, norm="l2", steps=3, radius=1e-3).loss
    assert abs(middle[2, 1] - middle[0, 1]) < 0.02 * (middle[1, 2] - middle[1, 0])
    assert one.alphas[-1] == pytest.approx(32 / 255 * np.sqrt(PIXELS))


def test_losses_hold_for_probabilities_and_single_logits() -> None:
    image, net = images(1)[0], linear()
    plain = gradient_map(net, image, class_index=1, steps=3)
    with_softmax = nn.Sequential(net, nn.Softmax(1))
    np.testing.assert_allclose(gradient_map(with_softmax, image, class_index=1, steps=3).loss, plain.loss, rtol=1e-3)
    single = Linear(net.weight[1:2].detach() - net.weight[:1].detach(), net.bias[1:2].detach() - net.bias[:1].detach())
    double = Linear(net.weight[:2].detach(), net.bias[:2].detach())
    for label in (0, 1):
        one, two = (gradient_map(each, image, class_index=label, steps=3) for each in (single, double))
        np.testing.assert_allclose(one.loss, two.loss, rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(one.class_index, two.class_index)


def test_model_is_left_as_it_was_also_after_a_mistake() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    net(images())
    net.train()
    before = state(net)
    decision_map(net, images(), steps=3)
    gradient_map(net, images(1)[0], steps=3)

    def fail(done: int, count: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decision_map(net, images(), steps=3, report=fail)
    assert state(net) == before


def test_mistakes_are_named() -> None:
    net, given = linear(), images()
    for wrong, said in (
        (lambda: decision_map(net, images(2)), "three images"),
        (lambda: decision_map(net, torch.stack([given[0], given[1], (given[0] + given[1]) / 2])), "lie in a line"),
        (lambda: decision_map(net, given[[0, 1, 1]]), "lie in a line"),
        (lambda: decision_map(net, given[[0, 0, 1]]), "lie in a line"),
        (lambda: decision_map(net, given, steps=1), "`steps` must be at least 2"),
        (lambda: decision_map(net, given, margin=-1.0), "`margin` must be"),
        (lambda: decision_map(net, given, batch_size=0), "`batch_size` must be"),
        (lambda: decision_map(net, given * torch.nan), "`images` must be finite"),
        (lambda: gradient_map(net, given[0], radius=0.0), "`radius` must be positive"),
        (lambda: gradient_map(Linear(torch.zeros(2, PIXELS), torch.zeros(2)), given[0]), "it is 0 or not finite"),
    ):
        with pytest.raises((ValueError, TypeError), match=said):
            wrong()


def test_file_gives_it_back(tmp_path: Path) -> None:
    found = decision_map(linear(), images(), steps=7)
    found.save(tmp_path / "decision.npz")
    again = DecisionMap.load(tmp_path / "decision.npz")
    for name in ("alphas", "class_index", "confidence", "excess", "images", "positions"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert (again.label, again.norm, again.meta["margin"]) == (-1, "", 0.25)
    assert sum(again.shares().values()) == pytest.approx(1)
    assert {*again.shares()} <= {*again.occurring}


class Company(Linear):
    """Logits less half of their mean over the batch."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits - logits.mean(0) / 2


class Noisy(Linear):
    """Logits with noise, also in eval mode."""

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return logits + torch.randn_like(logits)


@pytest.mark.parametrize(("kind", "said"), [(Company, "depends on the other images"), (Noisy, "is random in eval")])
def test_networks_that_do_not_judge_an_image_by_itself_are_refused(kind: type[Linear], said: str) -> None:
    net = kind(*(one.detach() for one in linear().parameters()))
    for ask in (lambda: decision_map(net, images(), steps=3), lambda: gradient_map(net, images()[0], class_index=1)):
        with pytest.raises(ValueError, match=f"`model` must judge each image by itself, but .* {said}"):
            ask()


def test_a_network_that_says_that_it_weighs_the_batch_is_refused() -> None:
    net = create_model("cifar_resnet18+ba2m@evaluation=batch", num_classes=4)
    with pytest.raises(ValueError, match="evaluation"):
        decision_map(net, torch.rand(3, 3, 8, 8), steps=3)


def test_maps_that_contradict_themselves_are_refused() -> None:
    found = decision_map(linear(), images(), steps=5)
    two = {name: getattr(found, name)[:2] for name in ("positions", "images", "image_class", "image_confidence")}
    changes: list[tuple[dict[str, Any], str]] = [
        ({"norm": "linf"}, "`norm` must be sign, l2 or empty"),
        (two, "`images` must be three"),
        ({"alphas": found.alphas[::-1]}, "`alphas` must be at least two finite coordinates in ascending order"),
        ({"class_index": -1 - found.class_index}, "classes from 0 on"),
        ({"label": 2}, "`label` a class along a gradient"),
    ]
    for changed, said in changes:
        with pytest.raises(ValueError, match=said):
            replace(found, **changed)
