"""Where networks come from: checkpoints, other programs' files, modules and dicts, each read when it is needed."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier, is_checkpoint, open_checkpoint
from gradscape._foreign_file import read_foreign_states
from gradscape._model_state import check_made
from gradscape._names import tell_apart, telling_parts
from gradscape._safetensors import opened_safetensors
from gradscape.landscape.alike import differing_constants
from gradscape.landscape.movable import bare_name, differing_unmovable, is_movable

__all__ = ["Checkpoint", "ReadTensors", "network_labels", "open_network", "run_name"]

Checkpoint = str | os.PathLike[str] | nn.Module | Mapping[str, Tensor]
ReadTensors = Callable[[Sequence[str]], list[Tensor]]
"""Gives a network's tensors by the names that they have in the model."""

_KEPT = re.compile(r"(epoch|step)[-_]?0*(\d+)")
_KEPT_FOLDER = "kept"
_COUNTER = "num_batches_tracked"
_SHOWN = 5


def run_name(checkpoints: Sequence[Checkpoint]) -> str:
    """What networks are called together: as the folder of their run, where all are of one."""
    folders = {Path(one).absolute().parent for one in checkpoints if isinstance(one, str | os.PathLike)}
    if len(folders) != 1:
        return "networks"
    (folder,) = folders
    return (folder.parent if folder.name == _KEPT_FOLDER else folder).name or "networks"


def network_labels(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """Epochs or steps where files are named by them, else names of files, else numbers."""
    paths = [Path(one) for one in checkpoints if isinstance(one, str | os.PathLike)]
    if len(paths) < len(checkpoints):
        return [f"network {number}" for number in range(1, len(checkpoints) + 1)]
    stems = [path.with_suffix("").name for path in paths]
    kept = [_KEPT.fullmatch(stem) for stem in stems]
    times = [f"{one[1]} {one[2]}" if one else stem for one, stem in zip(kept, stems, strict=True)]
    return tell_apart([times, telling_parts([path.with_suffix("") for path in paths])])


def open_network(checkpoint: Checkpoint, model: nn.Module, label: str) -> ReadTensors:
    """Check that a network fits a model.

    Args:
        checkpoint: The network.
        model: What it is compared with.
        label: What messages call it where it is no file.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: It is no network.
        ValueError: It has other tensors than the model, takes images of another normalization, or is damaged.
    """
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
        keys = _keys(stored.state, model, os.fspath(path))
        _check_normalization(model, stored.meta, path)
        return _lazily(path, keys)
    return _open_foreign(path, model)


def _open_foreign(path: Path, model: nn.Module) -> ReadTensors:
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


def _by_name(keys: Mapping[str, str], state: Mapping[str, Tensor]) -> ReadTensors:
    return lambda names: [state[keys[name]] for name in names]


def _lazily(path: Path, keys: Mapping[str, str]) -> ReadTensors:
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
