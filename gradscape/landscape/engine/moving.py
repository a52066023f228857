"""The one place that moves tensors: they become views of flat buffers, which one fused update moves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby

import torch
from torch import Tensor, nn

from gradscape._journal import undone
from gradscape._model_state import changes_with_mode, kept_values
from gradscape.landscape.directions import Direction
from gradscape.landscape.movable import is_movable

__all__ = ["MovingTensors", "Positions", "check_directions", "moving", "moving_names", "named_tensors"]

_CACHE_LINE = 64  # bytes; kernels may choose another path for unaligned weights

Positions = Sequence[Sequence[float]]


class MovingTensors:
    """Tensors at θ + Σ c_i·d_i, for one position or for several side by side.

    Every position is computed from the origin, never from the last position, so that nothing drifts.

    Args:
        origins: θ, by name; only tensors that a direction changes move.
        directions: For each coordinate, tensor names and their change per unit.
        dtypes: Types that tensors are handed out in, where it is not the origin's.
        points: How many positions at once; with more than one, tensors have an axis for them in front.

    Attributes:
        tensors: By name, views that `move_to` fills.
    """

    def __init__(
        self,
        origins: Mapping[str, Tensor],
        directions: Sequence[Direction],
        *,
        dtypes: Mapping[str, torch.dtype] | None = None,
        points: int = 1,
    ) -> None:
        moving = moving_names(directions)
        moved = [name for name in origins if name in moving]
        kinds = {name: _kind(origins[name], (dtypes or {}).get(name, origins[name].dtype)) for name in moved}
        # A buffer has one type, on one device. `groupby` joins neighbors only, hence the sorting; types have no order
        # of their own, hence by their names.
        groups = groupby(sorted(moved, key=lambda name: str(kinds[name])), key=kinds.__getitem__)
        self._buffers = [
            _FlatBuffer({name: origins[name] for name in group}, directions, dtype=dtype, points=points)
            for (dtype, *_), group in groups
        ]
        self.tensors = {name: tensor for buffer in self._buffers for name, tensor in buffer.tensors.items()}

    def move_to(self, positions: Positions) -> None:
        """Fill the tensors; there must be as many positions as asked for."""
        for buffer in self._buffers:
            buffer.move_to(positions)


@contextmanager
def moving(
    model: nn.Module, directions: Sequence[Direction], *, refreshed: bool = True
) -> Iterator[Callable[[Sequence[float]], None]]:
    """Let a model be moved to θ + Σ c_i·d_i, and put the very same tensors back afterwards.

    The tensors of the model keep their identity; their storage is exchanged for a view of a flat buffer and
    the old storage, untouched, put back at the end, also after an exception.

    Where a class of the model has a `train()` of its own, it may merge or cache weights in `eval()`. There the model
    goes back into training before every move, which undoes that, and into `eval()` after it.

    Args:
        model: Any module, in `eval()`.
        directions: For each coordinate, tensor names and their change per unit.
        refreshed: False leaves what `eval()` has merged or cached as it is.

    Yields:
        A function that takes the coordinates, one for each direction.

    Raises:
        ValueError: A direction names a tensor that the model lacks, or has another shape.
    """
    by_mode = refreshed and changes_with_mode(model)
    with kept_values(model) if by_mode else nullcontext():
        if by_mode:
            model.train()  # the origin is what has not been merged
        tensors = named_tensors(model)
        check_directions(directions, tensors)
        moved = MovingTensors(tensors, directions)
        # Parameters stay the same objects and only exchange what they hold: hooks, tied weights and the caller's own
        # references see the moved values, and an optimizer finds its parameters again afterwards.
        storages = {name: tensors[name].data for name in moved.tensors}
        still = [(tensors[name], tensors[name].data.clone()) for name in tensors.keys() - storages if by_mode]

        def move_to(coordinates: Sequence[float]) -> None:
            if not by_mode:
                moved.move_to([coordinates])
                return
            model.train()
            # What was merged comes out of the sums with a rounding error, which would grow from point to point.
            for tensor, value in still:
                tensor.data.copy_(value)
            for name, view in moved.tensors.items():
                tensors[name].data = view  # merging may have exchanged it
            moved.move_to([coordinates])
            model.eval()

        def put_back() -> None:
            for name, storage in storages.items():
                tensors[name].data = storage

        with undone(put_back):
            for name, view in moved.tensors.items():
                tensors[name].data = view
            yield move_to


class _FlatBuffer:
    """Tensors of one type on one device, side by side, with their origin and directions laid out alike."""

    def __init__(
        self, origins: Mapping[str, Tensor], directions: Sequence[Direction], *, dtype: torch.dtype, points: int
    ) -> None:
        # Networks have hundreds of small tensors: a call for each of them at every point would take longer than the
        # arithmetic. Laid out one after the other, all move in as many calls as there are directions.
        self._templates = origins
        self._origin = self._flatten(origins)
        self._directions = [self._flatten(direction) for direction in directions]
        self._position = self._origin.repeat(points, 1)
        self._handed_out = self._position if dtype == self._origin.dtype else self._position.to(dtype)
        self.tensors = {}
        start = 0
        for name, tensor in origins.items():
            # A step of the first axis leads to the next position, a whole buffer further on.
            segment = self._handed_out[:, start : start + tensor.numel()]
            strides = _dense_strides(tensor)
            view = segment.as_strided((points, *tensor.shape), (self._origin.numel(), *strides))
            self.tensors[name] = view if points > 1 else view[0]
            start += _padded(tensor)

    def move_to(self, positions: Positions) -> None:
        with torch.no_grad():
            for target, position in zip(self._position, positions, strict=True):
                # In the origin's type, and rounded once at the end: bf16 sums would swallow small steps. The first
                # direction is added on the way into the buffer, which saves a pass over memory to reset it.
                first, *others = zip(position, self._directions, strict=True)
                torch.add(self._origin, first[1], alpha=first[0], out=target)
                for coordinate, direction in others:
                    target.add_(direction, alpha=coordinate)
            if self._handed_out is not self._position:
                self._handed_out.copy_(self._position)

    def _flatten(self, values: Mapping[str, Tensor]) -> Tensor:
        """Values one after the other in the memory order of the origins; zeros where there is none."""
        first = next(iter(self._templates.values()))
        flat = torch.zeros(sum(map(_padded, self._templates.values())), dtype=first.dtype, device=first.device)
        start = 0
        for name, tensor in self._templates.items():
            if name in values:
                segment = flat[start : start + tensor.numel()]
                segment.as_strided(tensor.shape, _dense_strides(tensor)).copy_(values[name].detach())
            start += _padded(tensor)
        return flat


def moving_names(directions: Sequence[Direction]) -> set[str]:
    """Tensors that some direction changes: random directions also name those that stay in place, with zeros."""
    return {name for direction in directions for name, change in direction.items() if change.any()}


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def check_directions(directions: Sequence[Direction], tensors: Mapping[str, Tensor]) -> None:
    """Refuse directions of another model.

    Raises:
        ValueError: A direction names a tensor that is not there, has another shape, or holds integers.
    """
    for direction in directions:
        for name, change in direction.items():
            if name not in tensors:
                raise ValueError(f"`directions` name {name}, which the model lacks: make them from this model")
            if change.shape != tensors[name].shape:
                raise ValueError(
                    f"`directions` have the shape {tuple(change.shape)} for {name}, "
                    f"but the model's is {tuple(tensors[name].shape)}"
                )
            if change.any() and not is_movable(tensors[name]):
                raise ValueError(f"`directions` move {name}, which holds integers: leave it out")
            if change.is_complex() and not tensors[name].is_complex():
                raise ValueError(
                    f"`directions` move {name} by complex numbers, but it is real: make them from this model"
                )


def _kind(tensor: Tensor, dtype: torch.dtype) -> tuple[torch.dtype, torch.dtype, torch.device]:
    return dtype, tensor.dtype, tensor.device


def _padded(tensor: Tensor) -> int:
    per_line = max(1, _CACHE_LINE // tensor.element_size())
    return -(-tensor.numel() // per_line) * per_line


def _dense_strides(tensor: Tensor) -> tuple[int, ...]:
    """The tensor's own memory order, so that channels_last weights stay so."""
    layouts = [torch.contiguous_format, *{4: [torch.channels_last], 5: [torch.channels_last_3d]}.get(tensor.dim(), [])]
    dense = any(tensor.is_contiguous(memory_format=layout) for layout in layouts)
    return tensor.stride() if dense else torch.empty(tensor.shape, device="meta").stride()
