"""Named arrays with their provenance in one `.npz` file, without pickles."""

import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradscape._files import check_readable, replacing
from gradscape._provenance import Provenance

__all__ = ["load_arrays", "load_result", "save_arrays"]

_META = "meta"


def save_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays, and their provenance under the name `meta`, all at once.

    Args:
        path: The file, `.npz`.
        arrays: Numbers, truth values or text, by name.
        meta: Provenance that JSON can hold.

    Raises:
        ValueError: A name is one that the file or NumPy keeps for itself.
    """
    if taken := {_META, "file", "allow_pickle"} & set(arrays):
        raise ValueError(f"`arrays` must not be named {', '.join(sorted(taken))}, which is taken; choose another name")
    text = Provenance.of(meta).to_json()
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays, **{_META: np.array(text)})


def load_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], Provenance]:
    """Read what `save_arrays` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        ValueError: It is no such file.
    """
    check_readable(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return arrays, Provenance.from_json(str(arrays.pop(_META)))
    except (KeyError, EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as problem:
        raise ValueError(f"`{os.fspath(path)}` must be a .npz file of gradscape with its provenance") from problem


def load_result(
    path: str | os.PathLike[str], kind: str, *, called: str
) -> tuple[dict[str, np.ndarray], dict[str, Any], Provenance]:
    """Read a result that was written with an entry of its own in the provenance.

    Args:
        path: The file.
        kind: Name of the entry.
        called: What a person calls the result.

    Returns:
        Arrays, the entry, and the rest of the provenance.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else.
    """
    arrays, meta = load_arrays(path)
    if kind not in meta:
        raise ValueError(f"`{os.fspath(path)}` must hold {called}, but holds {', '.join(arrays)}")
    return arrays, meta[kind], Provenance.of({name: value for name, value in meta.items() if name != kind})
