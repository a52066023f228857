"""The one place that changes a model: its tensors become views of a flat buffer, for as long as a block lasts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby

import torch
from torch import Tensor, nn

from gradscape.landscape.directions import Direction

_ALIGNMENT = 64  # bytes; kernels may choose another path for unaligned weights


@contextmanager
def moving(model: nn.Module, directions: Sequence[Direction]) -> Iterator[Callable[[Sequence[float]], None]]:
    """Let a model be moved to θ + Σ c_i·d_i, and put the very same tensors back afterwards.

    Every position is computed from the centre, never from the last position, so that nothing drifts. The
    tensors of the model keep their identity; their storage is exchanged for a view of a flat buffer and
    the old storage, untouched, put back at the end, also after an exception.

    Args:
        model: Any module.
        directions: For each coordinate, tensor names and their change per unit.

    Yields:
        A function that takes the coordinates, one for each direction.

    Raises:
        ValueError: A direction names a tensor that the model lacks, or has another shape.
    """
    tensors = _named_tensors(model)
    _check_directions(directions, tensors)
    names = sorted({name for direction in directions for name in direction}, key=list(tensors).index)
    kinds = groupby(sorted(names, key=lambda name: str(_kind(tensors[name]))), key=lambda name: _kind(tensors[name]))
    buffers = [_FlatBuffer({name: tensors[name] for name in group}, directions) for _, group in kinds]
    storages = {name: tensors[name].data for name in names}

    def move_to(coordinates: Sequence[float]) -> None:
        for buffer in buffers:
            buffer.move_to(coordinates)

    try:
        for buffer in buffers:
            buffer.attach()
        yield move_to
    finally:
        for name, storage in storages.items():
            tensors[name].data = storage


class _FlatBuffer:
    """Tensors of one type on one device, side by side, with their centre and directions laid out alike."""

    def __init__(self, tensors: Mapping[str, Tensor], directions: Sequence[Direction]) -> None:
        self.tensors = tensors
        self.centre = self._flatten(tensors)
        self.directions = [self._flatten(direction) for direction in directions]
        self.position = self.centre.clone()

    def attach(self) -> None:
        start = 0
        for tensor in self.tensors.values():
            segment = self.position[start : start + tensor.numel()]
            tensor.data = segment.as_strided(tensor.shape, _dense_strides(tensor))
            start += _padded(tensor)

    def move_to(self, coordinates: Sequence[float]) -> None:
        with torch.no_grad():
            self.position.copy_(self.centre)
            for coordinate, direction in zip(coordinates, self.directions, strict=True):
                self.position.add_(direction, alpha=coordinate)

    def _flatten(self, values: Mapping[str, Tensor]) -> Tensor:
        """Values one after the other in the memory order of the model's tensors; zeros where there is none."""
        first = next(iter(self.tensors.values()))
        flat = torch.zeros(sum(map(_padded, self.tensors.values())), dtype=first.dtype, device=first.device)
        start = 0
        for name, tensor in self.tensors.items():
            if name in values:
                segment = flat[start : start + tensor.numel()]
                segment.as_strided(tensor.shape, _dense_strides(tensor)).copy_(values[name].detach())
            start += _padded(tensor)
        return flat


def _named_tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _check_directions(directions: Sequence[Direction], tensors: Mapping[str, Tensor]) -> None:
    for direction in directions:
        for name, change in direction.items():
            if name not in tensors:
                raise ValueError(f"`directions` name {name}, which the model lacks: make them from this model")
            if change.shape != tensors[name].shape:
                raise ValueError(
                    f"`directions` have the shape {tuple(change.shape)} for {name}, "
                    f"but the model's is {tuple(tensors[name].shape)}"
                )


def _kind(tensor: Tensor) -> tuple[torch.dtype, torch.device]:
    return tensor.dtype, tensor.device


def _padded(tensor: Tensor) -> int:
    per_line = max(1, _ALIGNMENT // tensor.element_size())
    return -(-tensor.numel() // per_line) * per_line


def _dense_strides(tensor: Tensor) -> tuple[int, ...]:
    """The tensor's own memory order, so that channels_last weights stay so."""
    layouts = [torch.contiguous_format, *{4: [torch.channels_last], 5: [torch.channels_last_3d]}.get(tensor.dim(), [])]
    dense = any(tensor.is_contiguous(memory_format=layout) for layout in layouts)
    return tensor.stride() if dense else torch.empty(tensor.shape, device="meta").stride()
