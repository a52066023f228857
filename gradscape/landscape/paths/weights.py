"""Weights of many networks as rows of a matrix, read a few columns at a time: a training is larger than memory."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._checkpoint import Classifier, is_checkpoint, open_checkpoint
from gradscape._foreign_file import read_foreign_states
from gradscape._model_state import check_made
from gradscape._names import tell_apart, telling_parts
from gradscape._safetensors import opened_safetensors
from gradscape.landscape.alike import differing_constants
from gradscape.landscape.directions import Direction
from gradscape.landscape.movable import Space, bare_name, differing_unmovable, is_movable, moving_tensors

__all__ = ["Checkpoint", "Columns", "NetworkWeights", "numbers", "run_name"]

Checkpoint = str | os.PathLike[str] | nn.Module | Mapping[str, Tensor]

_MOST_NUMBERS = 2**26  # of a part, in double precision 512 MiB: other programs' files are read whole for each
_KEPT = re.compile(r"(epoch|step)[-_]?0*(\d+)")
_KEPT_FOLDER = "kept"
_COUNTER = "num_batches_tracked"
_SHOWN = 5

_Read = Callable[[Sequence[str]], list[Tensor]]


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
    sources: tuple[_Read, ...]

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
        sources: list[_Read] = []
        for name, checkpoints in runs.items():
            if isinstance(checkpoints, str | os.PathLike | nn.Module | Mapping | Tensor):
                kind = type(checkpoints).__name__
                raise TypeError(f"`checkpoints` must be a list of networks, got a {kind} for {name}; put it in a list")
            own = list(checkpoints)
            if not own:
                raise ValueError(f"`checkpoints` must hold at least one network, got none for {name}")
            places[name] = slice(len(labels), len(labels) + len(own))
            labels += (called := _labels(own))
            sources += [_open(one, model, label) for one, label in zip(own, called, strict=True)]
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


def run_name(checkpoints: Sequence[Checkpoint]) -> str:
    """What networks are called together: as the folder of their run, where all are of one."""
    folders = {Path(one).absolute().parent for one in checkpoints if isinstance(one, str | os.PathLike)}
    if len(folders) != 1:
        return "networks"
    (folder,) = folders
    return (folder.parent if folder.name == _KEPT_FOLDER else folder).name or "networks"


def _labels(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Epochs or steps where files are named by them, else names of files, else numbers."""
    paths = [Path(one) for one in checkpoints if isinstance(one, str | os.PathLike)]
    if len(paths) < len(checkpoints):
        return [f"network {number}" for number in range(1, len(checkpoints) + 1)]
    stems = [path.with_suffix("").name for path in paths]
    kept = [_KEPT.fullmatch(stem) for stem in stems]
    times = [f"{one[1]} {one[2]}" if one else stem for one, stem in zip(kept, stems, strict=True)]
    return tell_apart([times, telling_parts([path.with_suffix("") for path in paths])])


def _open(checkpoint: Checkpoint, model: nn.Module, label: str) -> _Read:
    if isinstance(checkpoint, nn.Module):
        check_made(checkpoint, argument="checkpoints")
        _check_constants(model, checkpoint, label)
        return _by_name(_keys(checkpoint.state_dict(), model, label), checkpoint.state_dict())
    if isinstance(checkpoint, Mapping):
        values: Iterable[object] = checkpoint.values()
        if strange := [type(one).__name__ for one in values if not isinstance(one, Tensor)]:
            raise TypeError(f"`checkpoints` must hold paths, modules or dicts of tensors, got a dict of {strange[0]}")
        return _by_name(_keys(checkpoint, model, label), checkpoint)
    if not isinstance(checkpoint, str | os.PathLike):
        kind = type(checkpoint).__name__
        raise TypeError(f"`checkpoints` must hold paths, modules or dicts of tensors, got a {kind}")
    path = Path(checkpoint)
    if is_checkpoint(path):
        stored = open_checkpoint(path)
        _check_normalization(model, stored.meta, path)
        return _lazily(path, _keys(stored.state, model, os.fspath(path)))
    return _open_foreign(path, model)


def _open_foreign(path: Path, model: nn.Module) -> _Read:
    """Another program's file, that of its states which fits."""
    fitting, problems = {}, []
    for place, state in read_foreign_states(path).items():
        try:
            fitting[place] = _keys(state, model, os.fspath(path))
        except ValueError as problem:
            problems.append(problem)
    if not fitting:
        raise problems[0]
    if len(fitting) > 1:
        raise ValueError(
            f"{path} holds the network {len(fitting)} times: {', '.join(list(fitting)[:_SHOWN])}; take one of them out "
            "by `gradscape import`"
        )
    ((place, keys),) = fitting.items()
    if path.suffix == ".safetensors":
        return _lazily(path, keys)
    return lambda names: _by_name(keys, read_foreign_states(path)[place])(names)


def _by_name(keys: Mapping[str, str], state: Mapping[str, Tensor]) -> _Read:
    return lambda names: [state[keys[name]] for name in names]


def _lazily(path: Path, keys: Mapping[str, str]) -> _Read:
    def read(names: Sequence[str]) -> list[Tensor]:
        with opened_safetensors(path) as file:
            return [file.get_tensor(keys[name]) for name in names]

    return read


def _keys(state: Mapping[str, Tensor], model: nn.Module, told: str) -> dict[str, str]:
    """The name in a state of each of the model's tensors.

    Raises:
        ValueError: A tensor is missing, too many, or of another shape.
    """
    own = {name: tensor for name, tensor in model.state_dict(keep_vars=True).items() if not name.endswith(_COUNTER)}
    bare = {bare_name(key): key for key in state}
    wanted = {bare_name(name): tensor.detach() for name, tensor in own.items()}
    shared = {name: (tensor, state[bare[name]].detach()) for name, tensor in wanted.items() if name in bare}
    unlike = {name for name, (one, other) in shared.items() if _kind(one) != _kind(other)}
    found = {
        "it lacks": [name for name in wanted if name not in bare],
        "of another shape or kind is": [name for name in shared if name in unlike],
        "of other integers is": [
            name
            for name, (one, other) in shared.items()
            if name not in unlike and not is_movable(one) and not torch.equal(one, other.to(one.device))
        ],
        "it has besides": [name for name in bare if name not in wanted and not name.endswith(_COUNTER)],
    }
    faults = [
        f"{what} {', '.join(names[:_SHOWN])}{' …' if len(names) > _SHOWN else ''}"
        for what, names in found.items()
        if names
    ]
    if faults:
        raise ValueError(f"`checkpoints` must have the tensors of `model`, but {told} has not: {'; '.join(faults)}")
    return {name: bare[bare_name(name)] for name in own}


def _kind(tensor: Tensor) -> tuple[torch.Size, bool, bool]:
    return tensor.shape, is_movable(tensor), tensor.is_complex()


def _check_normalization(model: nn.Module, meta: Mapping[str, object], path: Path) -> None:
    if not isinstance(model, Classifier):
        return
    for name in ("mean", "std"):
        if meta[name] != model.meta[name]:
            raise ValueError(
                f"`checkpoints` must take images as `model` does, but {path} has the {name} {meta[name]}, the model "
                f"{model.meta[name]}: in one plane there is one normalization of images"
            )


def _check_constants(model: nn.Module, other: nn.Module, label: str) -> None:
    if differing := [*differing_unmovable(model, other), *differing_constants(model, other)]:
        raise ValueError(
            f"`checkpoints` must differ from `model` in weights alone, but {label} differs in "
            f"{', '.join(differing[:_SHOWN])}"
        )
