"""Short names for contents: equal digests mean equal bits."""

import hashlib
from collections.abc import Iterable

import torch

__all__ = ["digest_tensors"]


def digest_tensors(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """SHA-256 over names, types, shapes and bits, in the given order; 16 hexadecimal digits."""
    sha = hashlib.sha256()
    for name, tensor in named:
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()[:16]
