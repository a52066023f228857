"""Weights of many networks as rows of a matrix, read a few columns at a time: a training is larger than memory."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape.landscape.directions import Direction
from gradscape.landscape.movable import Space, is_movable, moving_tensors
from gradscape.landscape.paths.sources import Checkpoint, ReadTensors, network_labels, open_network

__all__ = ["Columns", "NetworkWeights", "numbers"]

_MOST_NUMBERS = 2**26  # of a part, in double precision 512 MiB: other programs' files are read whole for each


class Columns(NamedTuple):
    """Some columns of the matrix.

    Attributes:
        rows: Network minus model, (networks, columns), in double precision.
        places: Names of the tensors that they are of, each with the range of its numbers.
        counted: Whether they are parameters, which distances are measured in; else running statistics.
    """

    rows: Float[np.ndarray, "networks columns"]
    places: tuple[tuple[str, slice], ...]
    counted: bool

    def of(self, direction: Direction) -> Float[np.ndarray, " columns"]:
        """The same numbers of a direction, zeros where it moves nothing."""
        return np.concatenate(
            [
                _double(numbers(direction[name])[place]) if name in direction else np.zeros(place.stop - place.start)
                for name, place in self.places
            ]
        )

    def write(self, values: Float[np.ndarray, " columns"], direction: Direction) -> None:
        """Put numbers into the places of a direction that these columns are of."""
        begin = 0
        for name, place in self.places:
            end = begin + place.stop - place.start
            numbers(direction[name])[place] = torch.from_numpy(values[begin:end]).to(direction[name].device)
            begin = end


@final
@dataclass(frozen=True, eq=False)
class NetworkWeights:
    """Networks of one architecture, each seen from a model: a matrix of differences.

    Attributes:
        moving: The model's tensors by name: parameters, and running statistics where they move too.
        parameters: Names of those that are parameters.
        runs: Which rows are of which run.
        labels: What each network is called, within its run.
        sources: Reads each network's tensors by the model's names.
    """

    moving: Mapping[str, Tensor]
    parameters: frozenset[str]
    runs: Mapping[str, slice]
    labels: tuple[str, ...]
    sources: tuple[ReadTensors, ...]

    @classmethod
    def of(
        cls, model: nn.Module, runs: Mapping[str, Sequence[Checkpoint]], *, space: Space = "weights"
    ) -> "NetworkWeights":
        """Open networks, and refuse those that do not fit the model.

        Args:
            model: What they are compared with; it is only read.
            runs: Name -> networks, as `pca_directions` takes them.
            space: "states" takes the running statistics, too.

        Raises:
            FileNotFoundError: There is no such file.
            TypeError: Something is no network.
            ValueError: A network has other tensors than the model, a file is damaged, or there is none.
        """
        places: dict[str, slice] = {}
        labels: list[str] = []
        sources: list[ReadTensors] = []
        for name, checkpoints in runs.items():
            if isinstance(checkpoints, str | os.PathLike | nn.Module | Mapping | Tensor):
                kind = type(checkpoints).__name__
                raise TypeError(f"`checkpoints` must be a list of networks, got a {kind} for {name}; put it in a list")
            own = list(checkpoints)
            if not own:
                raise ValueError(f"`checkpoints` must hold at least one network, got none for {name}")
            places[name] = slice(len(labels), len(labels) + len(own))
            labels += (called := network_labels(own))
            sources += [open_network(one, model, label) for one, label in zip(own, called, strict=True)]
        if not sources:
            raise ValueError("`checkpoints` must hold at least one run, got none")
        moving = {name: tensor for name, tensor in moving_tensors(model, space) if is_movable(tensor)}
        parameters = frozenset(name for name, _ in model.named_parameters())
        return cls(moving, parameters, places, tuple(labels), tuple(sources))

    def parts(self) -> Iterator[Columns]:
        """All columns, part by part.

        Raises:
            ValueError: A number is not finite.
        """
        for counted in (True, False):
            names = [name for name in self.moving if (name in self.parameters) == counted]
            for columns in self._ranges(names):
                yield Columns(self._rows(columns), columns, counted)

    def directions(self) -> tuple[Direction, Direction]:
        """Two directions in which nothing moves yet."""
        first, second = (
            {
                name: torch.zeros_like(tensor, memory_format=torch.contiguous_format)
                for name, tensor in self.moving.items()
            }
            for _ in range(2)
        )
        return first, second

    def _ranges(self, names: Sequence[str]) -> Iterator[tuple[tuple[str, slice], ...]]:
        most = max(1, _MOST_NUMBERS // len(self.sources))
        columns: list[tuple[str, slice]] = []
        room = most
        for name in names:
            begin, length = 0, numbers(self.moving[name]).numel()
            while begin < length:
                end = min(length, begin + room)
                columns.append((name, slice(begin, end)))
                room -= end - begin
                begin = end
                if not room:
                    yield tuple(columns)
                    columns, room = [], most
        if columns:
            yield tuple(columns)

    def _rows(self, columns: Sequence[tuple[str, slice]]) -> Float[np.ndarray, "networks columns"]:
        names = [name for name, _ in columns]
        own = np.concatenate([_double(numbers(self.moving[name])[place]) for name, place in columns])
        if not np.isfinite(own).all():
            raise ValueError("`model` must hold finite numbers, but does not: it has diverged")
        rows = np.empty((len(self.sources), len(own)))
        for row, read, label in zip(rows, self.sources, self.labels, strict=True):
            tensors = read(names)
            values = [_double(numbers(one)[place]) for one, (_, place) in zip(tensors, columns, strict=True)]
            np.subtract(np.concatenate(values), own, out=row)
            if not np.isfinite(row).all():
                raise ValueError(
                    f"`checkpoints` must hold finite numbers, but those of {label} are not all: leave it out"
                )
        return rows


def numbers(tensor: Tensor) -> Float[Tensor, " numbers"]:
    """A tensor's real numbers in a row; of complex ones real and imaginary parts in turn."""
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).flatten()


def _double(values: Tensor) -> Float[np.ndarray, " numbers"]:
    return values.detach().to("cpu", torch.float64).numpy()
