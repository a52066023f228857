"""Pickles that would run code: each would leave a file, which nobody may find."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

__all__ = ["armed_array", "armed_pickle", "armed_torch_file"]

_WAYS: tuple[Callable[[str], tuple[Any, tuple[Any, ...]]], ...] = (
    lambda path: (os.system, (f"touch {path}",)),
    lambda path: (eval, (f"open({path!r}, 'w').close()",)),
    lambda path: (exec, (f"open({path!r}, 'w').close()",)),
    lambda path: (os.mkdir, (path,)),
    lambda path: (open, (path, "w")),
    lambda path: (np.savetxt, (path, [1.0])),
    lambda path: (torch.save, ([1], path)),
)


class _Armed:
    """Becomes a call when it is unpickled."""

    def __init__(self, call: tuple[Any, tuple[Any, ...]]) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def armed_pickle(canary: Path, random: Random) -> bytes:
    """A pickle that writes `canary` when it is read as pickles are, alone or within a state dict."""
    armed = _Armed(random.choice(_WAYS)(os.fspath(canary)))
    content: Any = random.choice(
        (armed, [armed], {"weight": armed}, {"state_dict": {"a.weight": [1.0]}, "epoch": armed})
    )
    return pickle.dumps(content, protocol=random.choice((0, 2, 4)))


def armed_torch_file(canary: Path, state: dict[str, Any], random: Random) -> bytes:
    """The same as a file of torch: bare, of the old layout or a zip, with valid weights beside it or not."""
    armed = _Armed(random.choice(_WAYS)(os.fspath(canary)))
    content: Any = random.choice(
        (armed, {**state, "armed.weight": armed}, {"state_dict": state, "optimizer": armed}, {"model": armed})
    )
    way = random.randrange(4)
    if way == 0:
        return armed_pickle(canary, random)
    if way == 1:
        return _zipped(pickle.dumps(content, protocol=2))
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=way == 2)
    return file.getvalue()


def armed_array(canary: Path, random: Random) -> bytes:
    """An array of objects as NumPy stores it, whose pickle runs code."""
    file = io.BytesIO()
    header = {"descr": random.choice(("|O", [("a", "|O")])), "fortran_order": False, "shape": (1,)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + armed_pickle(canary, random)


def _zipped(pickled: bytes) -> bytes:
    """A pickle where torch looks for one."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()
