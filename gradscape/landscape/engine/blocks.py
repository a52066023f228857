"""Batches of any size in, fixed blocks of images out, each with a digest, and batches of whole blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gradscape._digest import digest_tensors

__all__ = ["Batch", "Block", "cut_blocks", "join_blocks", "map_tensors", "tensors_in"]


@dataclass(frozen=True, eq=False)
class Block:
    """A fixed run of consecutive images.

    Attributes:
        inputs: What the model takes: a tensor (count, …), or dicts, lists and tuples of such tensors.
        labels: What the loss takes beside the output, likewise.
        count: Number of images.
        digest: Name for the exact bits of inputs and labels.
    """

    inputs: Any
    labels: Any
    count: int
    digest: str

    def to(self, device: torch.device) -> "Block":
        """A copy of the block on a device: models may write into their inputs."""
        inputs, labels = (
            map_tensors(lambda tensor: tensor.to(device, copy=True), part) for part in (self.inputs, self.labels)
        )
        return replace(self, inputs=inputs, labels=labels)

    def part(self, start: int, stop: int) -> "Block":
        """The images from `start` up to `stop`, as a block of their own."""
        return _block([map_tensors(lambda tensor: tensor[start:stop], (self.inputs, self.labels))], stop - start)


def cut_blocks(batches: Iterable[Any], size: int) -> Iterator[Block]:
    """Cut batches into blocks of `size` images, the last one smaller; the batches' own sizes leave no trace.

    Args:
        batches: Pairs (inputs, labels).
        size: Images in a block.

    Raises:
        TypeError: A batch is not a pair of tensors (or dicts, lists, tuples of tensors).
        ValueError: Inputs and labels have different lengths, or there are no images.
    """
    # Pieces are views into the user's batches; an image is copied once at most, when its block is joined.
    pieces: list[Any] = []
    held = images = 0
    for batch in batches:
        length, start = _length(batch), 0
        images += length
        while start < length:
            stop = min(length, start + size - held)
            pieces.append(map_tensors(lambda tensor, a=start, b=stop: tensor[a:b], batch))
            held += stop - start
            start = stop
            # Handed out as soon as it is full: the data may be larger than memory, and a first picture needs one block.
            if held == size:
                yield _block(pieces, held)
                pieces, held = [], 0
    if held:
        yield _block(pieces, held)
    # Only now: `batches` may be a generator, which can be asked but once.
    if not images:
        raise ValueError("`batches` must hold at least one image, but there is none")


@dataclass(frozen=True, eq=False)
class Batch:
    """Consecutive blocks that go through the network together.

    Attributes:
        inputs: As in `Block`.
        labels: As in `Block`.
        first: Number of the first block.
        count: Number of images.
    """

    inputs: Any
    labels: Any
    first: int
    count: int

    def to(self, device: torch.device, *, memory_format: str) -> "Batch":
        """A copy of the batch on a device; images (4 axes) in a memory format."""
        layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format

        # Always a copy: models may write into their inputs, and the next point needs the same images again.
        def moved(tensor: Tensor) -> Tensor:
            if tensor.dim() == 4:
                return tensor.to(device, memory_format=layout, copy=True)
            return tensor.to(device, copy=True)

        return replace(self, inputs=map_tensors(moved, self.inputs), labels=map_tensors(moved, self.labels))


def join_blocks(blocks: Sequence[Block], first: int, size: int) -> list[Batch]:
    """Batches of `size` blocks, the last one smaller; the first block has the number `first`."""
    batches = []
    for start in range(0, len(blocks), size):
        joined = blocks[start : start + size]
        inputs, labels = _join([block.inputs for block in joined]), _join([block.labels for block in joined])
        batches.append(Batch(inputs, labels, first + start, sum(block.count for block in joined)))
    return batches


def _block(pieces: list[Any], count: int) -> Block:
    # The digest is of the bits themselves: a seed or a path would not notice that the images behind it have changed.
    inputs, labels = (_join([piece[part] for piece in pieces]) for part in (0, 1))
    digest = digest_tensors((str(index), tensor) for index, tensor in enumerate(tensors_in((inputs, labels))))
    return Block(inputs, labels, count, digest)


def _length(batch: Any) -> int:
    if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
        raise TypeError(f"`batches` must give pairs (inputs, labels), got {type(batch).__name__}")
    # Labels of detection and the like are several tensors: all of them must have an entry for each image.
    lengths = {len(tensor) for tensor in tensors_in(batch)}
    if len(lengths) != 1:
        raise ValueError(f"`batches` must give as many labels as inputs, got the lengths {sorted(lengths)}")
    return lengths.pop()


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors of nested dicts, lists and tuples, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors_in(value)
    elif isinstance(tree, (tuple, list)):
        for value in tree:
            yield from tensors_in(value)
    else:
        raise TypeError(f"`batches` must hold tensors, or dicts, lists and tuples of them, got {type(tree).__name__}")


def map_tensors(function: Callable[..., Tensor], tree: Any) -> Any:
    """Nested dicts, lists and tuples with every tensor replaced by the function's result."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, dict):
        return {key: map_tensors(function, value) for key, value in tree.items()}
    return _like(tree, [map_tensors(function, value) for value in tree])


def _join(trees: Sequence[Any]) -> Any:
    first = trees[0]
    # A single piece stays the user's own memory; `to` copies before a model gets hold of it.
    if isinstance(first, Tensor):
        return torch.cat(list(trees)) if len(trees) > 1 else first
    if isinstance(first, dict):
        return {key: _join([tree[key] for tree in trees]) for key in first}
    return _like(first, [_join(list(values)) for values in zip(*trees, strict=True)])


def _like(tree: Any, values: list[Any]) -> Any:
    """A list, tuple or named tuple of other values."""
    return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
