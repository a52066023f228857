"""A model that is only looked at."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from gradscape._model_state import model_device, preserved

__all__ = ["evaluating"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`eval()` without gradients or autocast, in exact arithmetic; afterwards model and random states are as before."""
    with preserved(model), torch.no_grad(), torch.autocast(model_device(model).type, enabled=False):
        model.eval()
        yield
