"""Arrays of images: npz files and what else comes as (images, labels)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from gradscape._npz import list_npz, read_npz
from gradscape.data.pixels import pick_image
from gradscape.data.source import ALL, Source

__all__ = ["array_images", "npz_images"]

_MOST_CLASSES = 1_000_000


def npz_images(path: str) -> Source:
    """The arrays `images`, `labels` and, if there, `classes` of a .npz file, which has no split of its own."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"`npz:{path}`: there is no file {file.absolute()}")
    name = f"npz:{path}"
    arrays = _read_arrays(file, name)
    return replace(array_images(name, arrays["images"], arrays["labels"], arrays.get("classes")), split=ALL)


def _read_arrays(file: Path, name: str) -> dict[str, np.ndarray]:
    refusal = f"`{name}` cannot be read as an .npz file of plain arrays"
    arrays = read_npz(file, ("images", "labels", "classes").__contains__, refusal=refusal)
    if missing := sorted({"images", "labels"} - set(arrays)):
        raise ValueError(
            f"`{name}` must hold the arrays `images` and `labels`, but lacks {', '.join(missing)}; "
            f"it holds {', '.join(list_npz(file)) or 'none'}"
        )
    return arrays


def array_images(
    name: str, images: np.ndarray, labels: np.ndarray, classes: np.ndarray | Sequence[str] | None = None
) -> Source:
    """Check the arrays that a file or a function called `name` gave.

    Args:
        name: What the messages call the data.
        images: uint8, or floating point in [0, 1]: (N, H, W), (N, H, W, 1) or (N, H, W, 3).
        labels: Integers (N,).
        classes: Class names; None: the numbers from 0.

    Raises:
        ValueError: A shape, a type or a value is not as above.
    """
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)) or 0 in images.shape:
        raise ValueError(
            f"`images` of `{name}` must be (N, H, W), (N, H, W, 1) or (N, H, W, 3), channels last, "
            f"but came as {images.shape}"
        )
    if images.dtype != np.uint8:
        images = _unit_range_floats(images, name)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"`labels` of `{name}` must be integers (N,), but came as {labels.dtype} {labels.shape}")
    if len(labels) != len(images):
        raise ValueError(f"`{name}` has {len(images)} images but {len(labels)} labels; there must be one for each")
    labels = labels.astype(np.int64)
    named = _class_names(name, labels, classes)
    try:
        return Source(partial(pick_image, images), labels, named)
    except ValueError as problem:
        raise ValueError(f"`{name}` cannot be used: {problem}") from None


def _unit_range_floats(images: np.ndarray, name: str) -> np.ndarray:
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"`images` of `{name}` must be uint8 or floating point, but came as {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"`images` of `{name}` must be in [0, 1] where they are floating point, but span {low:g} to {high:g}; "
            "normalization belongs to the model"
        )
    return images.astype(np.float32)


def _class_names(name: str, labels: np.ndarray, classes: np.ndarray | Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        if labels.max(initial=0) >= _MOST_CLASSES:
            raise ValueError(
                f"`labels` of `{name}` must be below {_MOST_CLASSES:,} where there are no `classes`, got {labels.max()}"
            )
        classes = [str(label) for label in range(max(int(labels.max()), 0) + 1)]
    names = np.asarray(classes)
    if names.ndim != 1:
        raise ValueError(f"`classes` of `{name}` must be one name for each class, but came as {names.shape}")
    try:
        return tuple(names.astype(str).tolist())  # also decodes bytes
    except UnicodeDecodeError as error:
        raise ValueError(f"`classes` of `{name}` must be text, or bytes in ASCII: {error}") from None
