"""Reading `.safetensors` files.

The library itself bears out what a header declares by the size of the file before anything is allocated.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from gradscape._names import error_line

__all__ = ["opened_safetensors", "read_safetensors"]


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors by name and the metadata.

    Raises:
        ValueError: It is no such file, or damaged.
    """
    with opened_safetensors(path) as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def opened_safetensors(path: Path) -> Iterator[Any]:
    """The open file, of which a tensor is read only when it is asked for by `get_tensor`.

    Raises:
        ValueError: It is no such file, or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as error:
        if error.errno not in (None, errno.EINVAL, errno.ENODEV):  # an empty file cannot be mapped
            raise
        raise ValueError(f"{path} is not a valid safetensors file: {error_line(error)}") from error
    except (SafetensorError, KeyError, AttributeError, TypeError, RuntimeError, MemoryError) as error:
        # A type of numbers that torch has not makes the library stumble.
        raise ValueError(f"{path} is not a valid safetensors file: {error_line(error)}") from error
