from collections.abc import Callable

import pytest
import torch
from torch import nn

Settle = Callable[[nn.Module], None]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def settle() -> Settle:
    """Makes a module ready to compare: double precision, eval, every parameter and running statistic at random."""

    def settle(module: nn.Module) -> None:
        module.double().eval().requires_grad_(False)
        for parameter in module.parameters():
            parameter.normal_(0, 0.5)
        for norm in module.modules():
            if isinstance(norm, (nn.BatchNorm1d, nn.BatchNorm2d)):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean.normal_()
                norm.running_var.uniform_(0.5, 2)

    return settle


@pytest.fixture
def resnet18_widths() -> list[int]:
    return [64] * 2 + [128] * 2 + [256] * 2 + [512] * 2


@pytest.fixture
def resnet50_widths() -> list[int]:
    return [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3


@pytest.fixture
def resnet101_widths() -> list[int]:
    return [256] * 3 + [512] * 4 + [1024] * 23 + [2048] * 3


@pytest.fixture
def mobilenet_v2_widths() -> list[int]:
    return [16] + [24] * 2 + [32] * 3 + [64] * 4 + [96] * 3 + [160] * 3 + [320]
