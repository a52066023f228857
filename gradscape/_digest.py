"""Short names for contents: equal digests mean equal bits."""

import hashlib
from collections.abc import Iterable

import torch
from torch import nn

__all__ = ["digest_model", "digest_tensors"]


def digest_tensors(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names, types, shapes and bits, in the given order; 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for name, tensor in named:
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()[:16]


def digest_model(model: nn.Module) -> str:
    """Digest of a model's parameters and buffers, by which every file names the network that it is about."""
    return digest_tensors((*model.named_parameters(), *model.named_buffers()))
