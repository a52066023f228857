"""Batches of any size in, fixed blocks of images out, each with a digest, and batches of whole blocks."""

import copy
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from gradscape._digest import digest_tensors

__all__ = [
    "Batch",
    "Block",
    "Blocks",
    "count_images",
    "cut_blocks",
    "is_class_indices",
    "join_blocks",
    "leaves_in",
    "map_tensors",
    "tensors_in",
]

Way = tuple[Any, ...]  # keys, indices and names on the way from a tree to a leaf


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


@final
class Blocks:
    """Blocks that can be gone through again; only the first time goes on where something has begun.

    Args:
        begun: The first time.
        again: Each other time.
    """

    def __init__(self, begun: Iterator[Block], again: Callable[[], Iterator[Block]]) -> None:
        self._begun: Iterator[Block] | None = begun
        self._again = again

    def __iter__(self) -> Iterator[Block]:
        begun, self._begun = self._begun, None
        return self._again() if begun is None else begun


def cut_blocks(batches: Iterable[Any], size: int, *, ignored: int | None = None) -> Iterator[Block]:
    """Cut batches into blocks of `size` images, the last one smaller; the batches' own sizes leave no trace.

    Args:
        batches: Pairs (inputs, labels).
        size: Images in a block.
        ignored: A class index that stands for no label; images that have it are left out, as torch's losses do.

    Raises:
        TypeError: A batch is not a pair of tensors (or dicts, lists, tuples of tensors).
        ValueError: Inputs and labels have different lengths, images differ in shape, or there are no images.
    """
    # What lies in memory is looked at before any work; what is loaded batch by batch, as it comes.
    if isinstance(batches, (list, tuple)):
        for _ in _alike(batches):
            pass
    # Pieces are views into the user's batches; an image is copied once at most, when its block is joined.
    pieces: list[Any] = []
    held = images = 0
    for whole in _alike(batches):
        batch = _without(whole, ignored)
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
        kind = "image" if ignored is None else f"image whose label is not {ignored}, which the loss ignores"
        raise ValueError(f"`batches` must hold at least one {kind}, but there is none")


def count_images(batches: Iterable[Any], *, ignored: int | None = None) -> int | None:
    """How many images `cut_blocks` would give, if that can be known without going through them."""
    if (told := getattr(batches, "num_images", None)) is not None:
        return told
    if isinstance(batches, (list, tuple)):
        for batch in batches:
            _length(batch)  # refuses what is no pair
        return sum(_length(_without((labels, labels), ignored)) for _, labels in batches)
    return None


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
        raise TypeError(
            f"`batches` must give pairs (inputs, labels), got {type(batch).__name__}: make pairs of them, such as "
            '[(batch, batch["labels"]) for batch in loader]'
        )
    for path, leaf in leaves_in(batch):
        if not isinstance(leaf, Tensor):
            kind = f"{type(leaf).__name__} in its {_part(path)}"
            raise TypeError(f"`batches` must hold tensors, or dicts, lists and tuples of them, got {kind}")
        if not leaf.dim():
            raise ValueError(
                f"`batches` must have an entry for each image in every tensor, got a single number in its {_part(path)}"
            )
    # Labels of detection and the like are several tensors: all of them must have an entry for each image.
    lengths = {len(tensor) for tensor in tensors_in(batch)}
    if len(lengths) != 1:
        raise ValueError(f"`batches` must give as many labels as inputs, got the lengths {sorted(lengths)}")
    return lengths.pop()


def _part(path: Way) -> str:
    return " ".join([("inputs", "labels")[path[0]], *map(str, path[1:])])


def _without(batch: Any, ignored: int | None) -> Any:
    """The images that have a label: an image without one is no image, for counts and standard errors as well."""
    labels = batch[1]
    if ignored is None or not is_class_indices(labels) or bool((kept := labels != ignored).all()):
        return batch
    return map_tensors(lambda tensor: tensor[kept.to(tensor.device)], batch)


def is_class_indices(labels: Any) -> bool:
    """Whether labels are one integer an image."""
    return isinstance(labels, Tensor) and labels.dim() == 1 and not (labels.is_floating_point() or labels.is_complex())


def _alike(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches, as long as their images have one shape: others cannot share a block or a forward pass."""
    first: dict[Way, tuple[list[int], torch.dtype]] = {}
    for batch in batches:
        _length(batch)
        found = {path: (list(tensor.shape[1:]), tensor.dtype) for path, tensor in leaves_in(batch)}
        first = first or found
        if found != first:
            other = next(path for path in [*first, *found] if first.get(path) != found.get(path))
            raise ValueError(
                f"`batches` must hold images (or sequences, labels) of one shape and type, but in their {_part(other)} "
                f"is {_described(found.get(other))} where the first batch has {_described(first.get(other))}: "
                "pad or resize all of them alike, or evaluate each size by itself"
            )
        yield batch


def _described(found: tuple[list[int], torch.dtype] | None) -> str:
    return "nothing" if found is None else f"{tuple(found[0])} {str(found[1]).removeprefix('torch.')}"


def leaves_in(tree: Any) -> Iterator[tuple[Way, Any]]:
    """What nested dicts, lists, tuples and data classes hold in the end, in order, each with the way to it."""
    children = _children(tree)
    if children is None:
        yield (), tree
        return
    for key, child in children.items():
        for path, leaf in leaves_in(child):
            yield (key, *path), leaf


def tensors_in(tree: Any) -> Iterator[Tensor]:
    """The tensors among the leaves, in order."""
    return (leaf for _, leaf in leaves_in(tree) if isinstance(leaf, Tensor))


def map_tensors(function: Callable[..., Tensor], tree: Any) -> Any:
    """The same tree with every tensor replaced by the function's result; what is no tensor stays as it is."""
    if isinstance(tree, Tensor):
        return function(tree)
    children = _children(tree)
    if children is None:
        return tree
    return _rebuilt(tree, {key: map_tensors(function, child) for key, child in children.items()})


def _join(trees: Sequence[Any]) -> Any:
    # A single piece stays the user's own memory; `to` copies before a model gets hold of it.
    if len(trees) == 1:
        return trees[0]
    if isinstance(trees[0], Tensor):
        return torch.cat(list(trees))
    branches = [_children(tree) or {} for tree in trees]
    return _rebuilt(trees[0], {key: _join([branch[key] for branch in branches]) for key in branches[0]})


def _children(tree: Any) -> dict[Any, Any] | None:
    """What a tree branches into, by key, index or name of the field; None of a leaf."""
    if isinstance(tree, (tuple, list)):
        return dict(enumerate(tree))
    if isinstance(tree, dict):
        # Outputs of libraries are dicts whose entries are attributes as well; some keep attributes of their own.
        return {**tree, **{name: value for name, value in _attributes(tree).items() if name not in tree}}
    if isinstance(tree, UserDict):
        return dict(tree.data)
    if is_dataclass(tree) and not isinstance(tree, type):
        return {field.name: getattr(tree, field.name) for field in fields(tree)}
    return None


def _rebuilt(tree: Any, children: dict[Any, Any]) -> Any:
    """A tree of the same kind with other children."""
    if isinstance(tree, (tuple, list)):
        values = list(children.values())
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    if type(tree) is dict:
        return children
    new = copy.copy(tree)
    if isinstance(tree, UserDict):
        new.data = children
        return new
    for name, child in children.items():
        # An entry may be an attribute, too, which has to say the same.
        if isinstance(tree, dict) and name in tree:
            new[name] = child
        if not isinstance(tree, dict) or name in _attributes(tree):
            object.__setattr__(new, name, child)  # past what the class says about setting: it may be frozen
    return new


def _attributes(tree: Any) -> dict[str, Any]:
    return getattr(tree, "__dict__", {})
