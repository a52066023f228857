"""A published network and the images that reference numbers are of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.models import create_model
from gradscape.models.foreign_state import foreign_state

__all__ = ["akamaster", "cifar_images"]

_MEAN, _STD = (torch.tensor(values).view(3, 1, 1) for values in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


@pytest.fixture(scope="session")
def akamaster(test_data: Path) -> nn.Module:
    """A published ResNet-20 of CIFAR-10, in `eval()`."""
    net = create_model("resnet20", num_classes=10, image_size=32)
    net.load_state_dict(foreign_state(test_data / "checkpoints" / "akamaster-resnet20-12fca82f.th", net))
    return net.eval()


@pytest.fixture(scope="session")
def cifar_images(test_data: Path) -> list[tuple[Tensor, Tensor]]:
    """1,000 test images of CIFAR-10, normalized for it."""
    arrays = np.load(test_data / "cifar10" / "cifar10_test1000_lossless.npz")
    pixels = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255
    return [((pixels - _MEAN) / _STD, torch.from_numpy(arrays["labels"]).long())]
