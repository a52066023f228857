"""What is said of maps of curvature."""

import numpy as np
import torch
from torch import nn

from gradscape.landscape import evaluate_curvature, random_directions
from gradscape.studies.curvature_map import describe_maps


def test_a_map_without_any_curvature_is_described() -> None:
    net, data = nn.Linear(4, 3), [(torch.randn(8, 4), torch.arange(8) % 3)]
    axis = np.array([-1.0, 1.0])
    flat = evaluate_curvature(net, data, random_directions(net, seed=0), axis, axis, loss=lambda out, _: out.sum(dim=1))
    assert "differ by at most 0 %" in describe_maps({"net": flat})[-1]
