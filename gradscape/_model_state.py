"""The one promise of all computing: a model and the process are left as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["model_device", "unchanged"]


def model_device(model: nn.Module) -> torch.device:
    """Where the model's first tensor is."""
    tensors = (*model.parameters(), *model.buffers())
    return tensors[0].device if tensors else torch.device("cpu")


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Afterwards modes, buffers, gradients, `requires_grad` and the global random states are as before.

    Landscapes and explanations add what each of them needs meanwhile (`evaluable`, `explainable`); whoever changes
    the values of parameters puts them back itself.

    Meanwhile fp32 products are fp32's own: TF32 on NVIDIA cards, for one, keeps 10 of its 23 bits.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(module, dict(module._buffers)) for module in model.modules()]
    values = {buffer: buffer.clone() for _, held in buffers for buffer in held.values() if buffer is not None}
    gradients = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    device = model_device(model)
    try:
        for parameter, _, _ in gradients:
            parameter.grad = None  # a backward pass would add to it in place
        with _exact_products(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for module, training in modes:
            module.training = training
        for parameter, required, gradient in gradients:
            parameter.requires_grad_(required)
            parameter.grad = gradient
        for module, held in buffers:
            module._buffers.clear()
            module._buffers.update(held)
        with torch.no_grad():
            for buffer, before in values.items():
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


@contextmanager
def _exact_products() -> Iterator[None]:
    """Products in fp32's own precision; torch's newer settings and cuDNN's older one are kept in agreement."""
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    backends = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)
    precisions = [(backend, backend.fp32_precision) for backend in backends]
    try:
        allowed = cudnn.allow_tf32
    except RuntimeError:  # the user's own settings disagree: so they may again afterwards
        allowed = None
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        cudnn.allow_tf32 = False  # else torch.export refuses to work
        yield
    finally:
        if allowed is not None:
            cudnn.allow_tf32 = allowed
        for backend, precision in precisions:
            backend.fp32_precision = precision
