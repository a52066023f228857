"""Named arrays with their provenance in one `.npz` file, without pickles."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, is_typeddict

import numpy as np

from gradscape._files import replacing
from gradscape._names import error_line
from gradscape._npz import read_npz
from gradscape._provenance import Provenance
from gradscape._schema import check_arrays, check_record, fits, shown
from gradscape._zip_files import MOST_INFLATED

__all__ = ["load_arrays", "load_provenance", "load_result", "save_arrays"]

T = TypeVar("T")

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
    # Of what is nearly all zeros the packed file would look like a bomb to its own reader.
    write = np.savez if sum(array.nbytes for array in arrays.values()) > MOST_INFLATED else np.savez_compressed
    with replacing(path) as partial, partial.open("wb") as file:
        write(file, allow_pickle=False, **arrays, **{_META: np.array(text)})


def load_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], Provenance]:
    """Read what `save_arrays` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: It cannot be opened.
        ValueError: It is no such file.
    """
    arrays = read_npz(path, refusal=_refusal(path))
    return arrays, _provenance(path, arrays.pop(_META, None))


def load_provenance(path: str | os.PathLike[str]) -> Provenance:
    """Read only what a file says of its making; errors as `load_arrays`."""
    return _provenance(path, read_npz(path, lambda name: name == _META, refusal=_refusal(path)).get(_META))


def load_result(
    path: str | os.PathLike[str],
    kind: str,
    make: Callable[[dict[str, np.ndarray], Any, Provenance], T],
    *,
    called: str,
    entry: Any,
    arrays: Mapping[str, Any] | None = None,
    optional: Mapping[str, Any] | None = None,
) -> T:
    """Read a result that was written with an entry of its own in the provenance.

    Args:
        path: The file.
        kind: Name of the entry.
        make: The result of arrays, entry and the rest of the provenance.
        called: What a person calls the result.
        entry: What the entry must be: a TypedDict, or a type as `fits` takes it.
        arrays: What it must hold, name -> jaxtyping's annotation; None if every file has other names.
        optional: The same for what may be missing.

    Returns:
        What `make` gives.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else, or not all of it.
    """
    found, meta = load_arrays(path)
    if kind not in meta:
        raise ValueError(f"`{os.fspath(path)}` must hold {called}, but holds {', '.join(found)}")
    try:
        if arrays is not None:
            check_arrays(found, arrays, optional=optional)
        if is_typeddict(entry):
            check_record(meta[kind], entry)
        elif not fits(meta[kind], entry):
            raise ValueError(f"`{kind}` is {shown(meta[kind])}")
        return make(found, meta[kind], Provenance.of({name: value for name, value in meta.items() if name != kind}))
    except ValueError as problem:
        name, reason = os.fspath(path), error_line(problem)
        raise ValueError(f"`{name}` must hold {called}, but is damaged: {reason}; make it again") from problem


def _refusal(path: str | os.PathLike[str]) -> str:
    return f"`{os.fspath(path)}` must be a .npz file of gradscape with its provenance"


def _provenance(path: str | os.PathLike[str], text: np.ndarray | None) -> Provenance:
    try:
        if text is None or text.ndim or text.dtype.kind != "U":
            raise ValueError("it has none" if text is None else f"its own is {text.dtype} {text.shape}")
        return Provenance.from_json(str(text))
    except (TypeError, ValueError) as problem:
        raise ValueError(f"{_refusal(path)}: {error_line(problem)}") from problem
