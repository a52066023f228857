"""Leave a model and the process as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`eval()` without gradients, in exact arithmetic; afterwards modes, buffers and random states are as before.

    On NVIDIA cards TF32 is off meanwhile: it keeps 10 of fp32's 23 bits.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        model.eval()
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.no_grad():
            yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for module, training in modes:
            module.training = training
        for module, name, buffer, values in buffers:
            module._buffers[name] = buffer
            buffer.copy_(values)
