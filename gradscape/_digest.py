"""Short names for contents: equal digests mean equal bits."""

import hashlib
from collections.abc import Iterable
from typing import final

import torch
from torch import nn

__all__ = ["TensorDigest", "digest_model", "digest_tensors"]


@final
class TensorDigest:
    """SHA-256 over names, types, shapes and bits, of tensors that come in parts.

    Example:
        >>> digest = TensorDigest()
        >>> digest.begin("images", torch.float32, (2, 3))
        >>> for row in torch.zeros(2, 3):
        ...     digest.add(row)
        >>> digest.text == digest_tensors([("images", torch.zeros(2, 3))])
        True
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def begin(self, name: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        """Begin a tensor, whose values follow."""
        self._sha.update(f"{name} {dtype} {tuple(shape)}\n".encode())

    def add(self, values: torch.Tensor) -> None:
        """Add its next values."""
        self._sha.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)

    @property
    def text(self) -> str:
        """16 hexadecimal digits."""
        return self._sha.hexdigest()[:16]


def digest_tensors(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Digest of whole tensors, in the given order."""
    digest = TensorDigest()
    for name, tensor in named:
        digest.begin(name, tensor.dtype, tensor.shape)
        digest.add(tensor)
    return digest.text


def digest_model(model: nn.Module) -> str:
    """Digest of a model's parameters and buffers, by which every file names the network that it is about."""
    return digest_tensors((*model.named_parameters(), *model.named_buffers()))
