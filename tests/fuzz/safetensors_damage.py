"""Damage to the header of a safetensors file: sizes, types, places, and what it says of the network."""

import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz.json_damage import damage_json, hostile_text

__all__ = ["damage_safetensors"]

_META = "__metadata__"
_DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I8", "BOOL", "F8_E4M3", "C64", "X", "")


def damage_safetensors(data: bytes, random: Random) -> tuple[bytes, str]:
    """Change the header in one or two ways, and write a file around it whose length is right, or not.

    Args:
        data: A valid file.
        random: Chooses how and where.

    Returns:
        The file, and how it was made.
    """
    (length,) = struct.unpack("<Q", data[:8])
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    names = []
    for _ in range(random.choice((1, 1, 2))):
        way = random.choice(_WAYS)
        try:
            header = way(header, random)
            names.append(way.__name__.strip("_"))
        except Exception:  # what was damaged before cannot always be damaged again
            names.append("none")
    text = json.dumps(header).encode()
    if random.random() < 0.1:
        told = random.choice((0, 1, len(text) - 1, len(text) + 1, 2**31, 2**62, 2**64 - 1))
        return struct.pack("<Q", told) + text + tensors, "+".join([*names, "length"])
    return struct.pack("<Q", len(text)) + text + tensors, "+".join(names)


def _meta(header: dict[str, Any], random: Random) -> dict[str, Any]:
    """What the checkpoint says of its network."""
    about = dict(header.get(_META) or {})
    try:
        about["gradscape"] = damage_json(str(about.get("gradscape")), random)[0]
    except ValueError:  # a change that was made before
        about["gradscape"] = hostile_text(random)
    return {**header, _META: about}


def _about(header: dict[str, Any], random: Random) -> dict[str, Any]:
    return {
        **header,
        _META: random.choice(({}, None, [], 1, {"gradscape": 1}, {"gradscape": None}, {"other": "x"}, "text")),
    }


def _dropped(header: dict[str, Any], random: Random) -> dict[str, Any]:
    gone = random.choice(list(header) or [""])
    return {name: entry for name, entry in header.items() if name != gone}


def _renamed(header: dict[str, Any], random: Random) -> dict[str, Any]:
    changed, new = random.choice(list(header) or [""]), random.choice(("x", "head.weight", hostile_text(random)))
    return {new if name == changed else name: entry for name, entry in header.items()}


def _entry(header: dict[str, Any], random: Random) -> dict[str, Any]:
    """What one tensor is, or where it lies."""
    names = [name for name, entry in header.items() if name != _META and isinstance(entry, dict)]
    if not names:
        return header
    name = random.choice(names)
    entry = dict(header[name])
    key = random.choice(("dtype", "shape", "data_offsets"))
    offsets = entry.get("data_offsets", [0, 0])
    entry[key] = random.choice(
        {
            "dtype": _DTYPES,
            "shape": (
                [],
                [0],
                [-1],
                [2**40],
                [2**63, 2**63],
                [1.5],
                "text",
                [*entry.get("shape", [])][::-1],
                [1] * 200,
            ),
            "data_offsets": ([0, 0], [0, 2**62], [-1, 4], [0], offsets[::-1], [offsets[0] + 4, offsets[-1] + 4], None),
        }[key]
    )
    return {**header, name: entry}


_WAYS: tuple[Callable[[dict[str, Any], Random], dict[str, Any]], ...] = (
    _meta,
    _meta,
    _meta,
    _about,
    _dropped,
    _renamed,
    _entry,
    _entry,
)
