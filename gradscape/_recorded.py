"""Entries of a file's provenance that gradscape writes and reads again, and what they are when it does."""

from collections.abc import Mapping
from typing import Any, TypedDict

from gradscape._schema import fits

__all__ = ["recorded"]


class _NamedEntry(TypedDict):
    name: str


class _TestEntry(TypedDict, total=False):
    name: str
    split: str
    images: int
    population: int
    share: float
    seed: int


_RECORDED: dict[str, Any] = {
    **dict.fromkeys(("checkpoint", "other_checkpoint", "other", "other_weights", "method", "formula", "package"), str),
    **dict.fromkeys(("normalize", "ignore", "space", "parameters", "direction_path", "direction_file"), str),
    "at_chance": list[str],
    "class_names": dict[str, str | None],
    "data": str | _NamedEntry,
    "functions": dict[str, str],
    "image_files": list[str],
    "images": int,
    "imported": dict[str, str],
    "perplexity_asked": float,
    "plan": dict[str, Any],
    "population": int,
    "recipe": _NamedEntry,
    "scores": dict[str, Any],
    "seed": int,
    "split": str,
    "test": _TestEntry,
    "training_test": _TestEntry,
}


def recorded(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return entries such that what has one of gradscape's own names is what gradscape writes there.

    A user's own entry of such a name, and what damage left of one, is kept as `own_NAME`.

    Args:
        meta: Of a result or a checkpoint.
    """
    return {
        name if value is None or name not in _RECORDED or fits(value, _RECORDED[name]) else f"own_{name}": value
        for name, value in meta.items()
    }
