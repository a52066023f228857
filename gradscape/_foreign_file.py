"""Files in which other programs keep networks: every state dict in them, read without running anything."""

import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradscape._files import check_readable
from gradscape._names import error_line
from gradscape._safetensors import read_safetensors
from gradscape._torch_files import is_script, read_torch

__all__ = ["read_foreign_states"]

_DEEPEST = 4  # how far within each other dicts are searched
_MOST_STATES = 10_000
_SHOWN = 5
_UNFORESEEN = (AttributeError, LookupError, TypeError, AssertionError)  # which speak of torch's own code
_UNKNOWN_TYPE = re.compile(r"GLOBAL (\S+) was not an allowed global")


def read_foreign_states(path: str | os.PathLike[str]) -> dict[str, dict[str, Tensor]]:
    """Read the tensors that another program saved; nothing in the file is executed.

    What lies beside the weights (options, an optimizer, numbers of NumPy, objects of any type) is left unread.

    Args:
        path: A file of `torch.save` (`.pt .pth .ckpt .th .t7 .pkl`) or `.safetensors`.

    Returns:
        Place in the file -> tensors by name. The place is "" for the file itself, else the keys that lead there, such
        as `state_dict_ema` or `checkpoint.model`.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be opened.
        ValueError: If the file is damaged, or holds no tensors by name.
    """
    path = Path(path)
    check_readable(path)
    content: Any = read_safetensors(path)[0] if path.suffix == ".safetensors" else _read_pickle(path)
    states = dict(islice(_states(content, (), set()), _MOST_STATES + 1))
    if len(states) > _MOST_STATES:
        raise ValueError(f"{path} must hold a state dict, but holds more than {_MOST_STATES:,}: save one of them")
    for place, state in states.items():
        if unread := [f"{key} ({value.name})" for key, value in state.items() if isinstance(value, _Unread)]:
            raise ValueError(
                f"{path} must hold plain tensors, but holds {', '.join(unread[:_SHOWN])}"
                f"{f' in {place}' if place else ''}: save plain tensors where it was made"
            )
        if strange := [key for key, value in state.items() if not _is_whole(value, os.stat(path).st_size)]:
            raise ValueError(
                f"{path} must hold plain tensors, but {', '.join(strange[:_SHOWN])} has no numbers of its own for each "
                "place (sparse, expanded or without data): save plain tensors where it was made"
            )
    if not states:
        raise ValueError(
            f"{path} must hold a state dict (tensors by name), got {_described(content)}; nothing in it was executed; "
            "save `model.state_dict()` where it was made"
        )
    return states


def _is_whole(tensor: Tensor, file_size: int) -> bool:
    """Whether every number is in the file: one can be declared to stand for millions."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.numel() * tensor.element_size() <= max(tensor.untyped_storage().nbytes(), file_size)


class _MisplacedError(AttributeError):
    pass


class _Unread:
    """Stands for an object of a type that torch does not know to be safe: takes what the file gives, does nothing."""

    name = ""

    def __init__(self, *arguments: object) -> None:
        pass

    def __new__(cls, *arguments: object) -> "_Unread":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass

    def __getattr__(self, attribute: str) -> Any:
        raise _MisplacedError(f"it has {self.name} where a part of a tensor must be")


def _read_pickle(path: Path) -> Any:
    if is_script(path):
        raise ValueError(
            f"{path} must be a state dict saved by torch, and is not: it holds a TorchScript program; nothing in it "
            "was executed; save `model.state_dict()` alone where it was made"
        )
    # torch stops at the first type that it does not know to be harmless and says its name. We then read again with a
    # stand-in in that place, so that neither the type's module is imported nor any of its code runs.
    stand_ins: dict[str, type[_Unread]] = {}
    while True:
        try:
            return read_torch(path, [(kind, name) for name, kind in stand_ins.items()])
        except OSError:
            raise
        except Exception as error:  # a file made by anyone can fail in any way
            found = _UNKNOWN_TYPE.search(str(error))
            name = found.group(1) if found else ""
            name = name if "." in name else f"builtins.{name}"  # torch leaves this part out
            if not found or name in stand_ins:
                raise ValueError(
                    f"{path} must be a state dict saved by torch, and is not: {_reason(error)}; nothing in it was "
                    "executed; save `model.state_dict()` alone where it was made"
                ) from error
            stand_ins[name] = type("_UnreadNamed", (_Unread,), {"name": name})


def _states(found: Any, place: tuple[str, ...], barren: set[tuple[int, int]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Tensors by name, and what stands under a parameter's name in a type that was not read.

    A dict that lies in many places and holds none, which `barren` remembers, is searched once at each depth.
    """
    key = id(found), len(place)
    if not isinstance(found, Mapping) or len(place) > _DEEPEST or key in barren:
        return
    barren.add(key)
    named = {key: value for key, value in found.items() if isinstance(key, str)}
    tensors = {
        key: value
        for key, value in named.items()
        if isinstance(value, Tensor) or (isinstance(value, _Unread) and "." in key)
    }
    if any(isinstance(value, Tensor) for value in tensors.values()):
        barren.discard(key)
        yield ".".join(place), tensors
    for name, value in named.items():
        for state in _states(value, (*place, name), barren):
            barren.discard(key)
            yield state


def _described(content: Any) -> str:
    if isinstance(content, _Unread):
        return f"a whole {content.name}"
    whole = [f"{key} ({value.name})" for key, value in _items(content) if isinstance(value, _Unread)]
    return type(content).__name__ + (f" with {', '.join(whole[:_SHOWN])}" if whole else "")


def _items(content: Any) -> list[tuple[Any, Any]]:
    return list(content.items()) if isinstance(content, Mapping) else []


def _reason(error: Exception) -> str:
    """The sentence that says what is wrong; torch puts advice to load without any check around it."""
    _, advice, told = str(error).rpartition("WeightsUnpickler error: ")
    told = told.partition("\n")[0].strip() if advice else told
    if not told or (isinstance(error, _UNFORESEEN) and not isinstance(error, _MisplacedError)):
        return "its parts do not fit together"
    return error_line(ValueError(told))
