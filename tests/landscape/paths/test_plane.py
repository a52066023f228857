import numpy as np
import pytest
import torch
from torch import nn

from gradscape._checkpoint import Classifier
from gradscape.landscape import evaluate_surface, plane_directions, project
from tests.landscape.networks import images_and_labels, small_net
from tests.landscape.paths.networks import plane, rows, wandering

NETS = wandering(3)
FIRST, SECOND, THIRD = NETS


def test_the_picture_keeps_distances_and_angles() -> None:
    directions, points = plane_directions(FIRST, SECOND, THIRD)
    products = plane(directions) @ plane(directions).T
    unit = float(np.linalg.norm(rows([SECOND]) - rows([FIRST])))
    np.testing.assert_allclose(products, unit**2 * np.eye(2), atol=1e-5 * unit**2)
    drawn = np.stack([points.alphas, points.betas], axis=1)
    for one in range(3):
        for other in range(one):
            apart = np.linalg.norm(rows([NETS[one]]) - rows([NETS[other]]))
            assert unit * np.linalg.norm(drawn[one] - drawn[other]) == pytest.approx(apart, rel=1e-6)
    assert (points.alphas[:2].tolist(), points.betas[:2].tolist()) == ([0, 1], [0, 0])
    assert points.betas[2] > 0
    assert not points.joined


def test_the_three_networks_are_where_they_are_said_to_be() -> None:
    directions, points = plane_directions(FIRST, SECOND, THIRD)
    found = project(NETS, FIRST, directions)
    np.testing.assert_allclose(found.alphas, points.alphas, atol=1e-6)
    np.testing.assert_allclose(found.betas, points.betas, atol=1e-6)
    np.testing.assert_allclose(found.distance, 0, atol=1e-5)
    images, labels = images_and_labels()
    alphas, betas = np.unique(points.alphas), np.unique(points.betas)
    surface = evaluate_surface(FIRST, [(images, labels)], directions, alphas, betas)
    for net, alpha, beta in zip(NETS, points.alphas, points.betas, strict=True):
        with torch.no_grad():
            own = nn.functional.cross_entropy(net(images), labels).item()  # its own running statistics included
        measured = surface.loss[np.searchsorted(betas, beta), np.searchsorted(alphas, alpha)]
        assert measured == pytest.approx(own, rel=1e-4)


def test_by_weights_alone_statistics_stay() -> None:
    directions, points = plane_directions(FIRST, SECOND, THIRD, space="weights")
    assert "1.running_mean" not in directions[0] | directions[1]
    assert points.to_entry() == plane_directions(FIRST, SECOND, THIRD)[1].to_entry()


def test_normalizations_of_images_move_along() -> None:
    means = ([0.5] * 3, [0.5] * 3, [0.4] * 3)
    meta = {"num_classes": 5, "image_size": 7, "std": [0.25] * 3, "labels": None}
    first, second, third = (Classifier(net, {**meta, "mean": mean}) for net, mean in zip(NETS, means, strict=True))
    (along, upright), points = plane_directions(first, second, third)
    assert "mean" not in along
    assert float(points.betas[2] * upright["mean"].mean()) == pytest.approx(-0.1)


def test_networks_are_named_by_their_files() -> None:
    assert plane_directions(FIRST, SECOND, THIRD)[1].labels == ("model", "second", "third")
    meta = {"num_classes": 5, "image_size": 7, "mean": [0.5] * 3, "std": [0.25] * 3, "labels": None}
    models = [Classifier(net, meta) for net in NETS]
    for model, path in zip(models, ("a/one.safetensors", "b/one.safetensors", "b/two.safetensors"), strict=True):
        model.path = path
    assert plane_directions(*models)[1].labels == ("a/one", "b/one", "b/two")


def test_what_spans_no_plane_is_refused() -> None:
    middle = small_net()
    half = {name: (one + FIRST.state_dict()[name]) / 2 for name, one in SECOND.state_dict().items()}
    middle.load_state_dict(half)
    with pytest.raises(ValueError, match="`third` must lie off the line"):
        plane_directions(FIRST, SECOND, middle)
    with pytest.raises(ValueError, match="`third` must lie off the line"):
        plane_directions(FIRST, SECOND, SECOND)
    with pytest.raises(ValueError, match="`second` must differ from `model`"):
        plane_directions(FIRST, FIRST, THIRD)
    with pytest.raises(ValueError, match="`third` must have the tensors of `model`"):
        plane_directions(FIRST, SECOND, nn.Linear(4, 3))
