"""Where running variances turn negative, it is known and said."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from gradscape.landscape import difference_direction, evaluate_line, evaluate_surface, random_directions
from gradscape.landscape.variances import negative_variances
from tests.landscape.networks import images_and_labels, small_net


def test_the_variances_of_a_line_are_negative_where_a_plain_loop_says_so() -> None:
    first, second = small_net(), small_net(seed=1)
    second[1].get_buffer("running_var")[2] = 4 * first[1].get_buffer("running_var")[2]
    alphas = np.linspace(-1, 3, 9)
    found = negative_variances(first, [difference_direction(first, second)], {"alphas": alphas})
    ends = [net[1].get_buffer("running_var") for net in (first, second)]
    expected = [bool((ends[0] + alpha * (ends[1] - ends[0]) < 0).any()) for alpha in alphas.tolist()]
    assert found.tolist() == expected
    assert any(expected)
    assert not found[(alphas >= 0) & (alphas <= 1)].any()


def test_a_surface_is_indexed_beta_first_and_its_corner_is_said(caplog: pytest.LogCaptureFixture) -> None:
    net, data = small_net(), [images_and_labels()]
    directions = random_directions(net, seed=0, ignore="none", space="states")  # variances move along themselves
    alphas, betas = [-0.75, 0.0, 0.5], [-0.5, 0.25]
    found = negative_variances(net, directions, {"alphas": np.array(alphas), "betas": np.array(betas)})
    assert found.tolist() == [[True, False, False], [False, False, False]]
    with caplog.at_level(logging.WARNING):
        surface = evaluate_surface(net, data, directions, alphas, betas)
    assert "running variances are negative at (alpha, beta) = (-0.75, -0.5): batch norm gives no mean" in caplog.text
    np.testing.assert_array_equal(np.isnan(surface.loss), found)


def test_nothing_is_said_where_no_variance_moves(caplog: pytest.LogCaptureFixture) -> None:
    net = small_net()
    evaluate_line(net, [images_and_labels()], random_directions(net, seed=0)[0], [-2.0, 0.0])
    assert not caplog.text
    plain = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(105, 5))
    direction = {name: torch.ones_like(tensor) for name, tensor in plain.named_parameters()}
    assert not negative_variances(plain, [direction], {"alphas": np.array([-9.0, 9.0])}).any()


def test_parts_of_a_large_grid_are_those_of_the_whole() -> None:
    net, axes = small_net(), {"alphas": np.linspace(-2, 2, 71), "betas": np.linspace(-2, 2, 67)}
    first, second = (
        {name: torch.zeros_like(tensor) for name, tensor in net.state_dict().items() if name == "1.running_var"}
        for _ in range(2)
    )
    variances = net[1].get_buffer("running_var")
    first["1.running_var"][0], second["1.running_var"][1] = variances[0], variances[1]
    alphas, betas = np.meshgrid(*axes.values())
    assert len(alphas.ravel()) > 4096
    np.testing.assert_array_equal(negative_variances(net, [first, second], axes), (alphas < -1) | (betas < -1))
