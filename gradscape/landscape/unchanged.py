"""A model that is only looked at."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from gradscape._model_state import preserved


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`eval()` without gradients, in exact arithmetic; afterwards the model and the random states are as before."""
    with preserved(model), torch.no_grad():
        model.eval()
        yield
