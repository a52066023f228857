"""Damage that knows nothing of what the bytes mean: what disks, networks and careless programs do."""

import struct
from collections.abc import Callable
from random import Random

__all__ = ["damage_bytes"]

# What a reader may trust as a size or an offset.
_TELLING = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
_LONGEST_RUN = 256


def damage_bytes(data: bytes, random: Random, *, other: bytes = b"") -> tuple[bytes, str]:
    """Change bytes in one to three ways.

    Args:
        data: A valid file.
        random: Chooses how and where.
        other: Another file, of which a part may take the place of one.

    Returns:
        The damaged bytes, and how they were made.
    """
    names = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        way = random.choice(_WAYS)
        data = way(data, random) if way is not _splice else _spliced(data, random, other)
        names.append(way.__name__.strip("_"))
    return data, "+".join(names)


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _replace(data: bytes, random: Random) -> bytes:
    start, stop = _run(data, random)
    return data[:start] + random.randbytes(stop - start) + data[stop:]


def _truncate(data: bytes, random: Random) -> bytes:
    near_end = random.random() < 0.5
    return data[: -random.randint(1, 64)] if near_end else data[: random.randrange(len(data) + 1)]


def _insert(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.choice((1, 4, 8, 64))) + data[place:]


def _delete(data: bytes, random: Random) -> bytes:
    start, stop = _run(data, random)
    return data[:start] + data[stop:]


def _zero(data: bytes, random: Random) -> bytes:
    start, stop = _run(data, random)
    return data[:start] + random.choice((b"\0", b"\xff")) * (stop - start) + data[stop:]


def _repeat(data: bytes, random: Random) -> bytes:
    start, stop = _run(data, random)
    return data[:stop] + data[start:stop] * random.choice((1, 2, 50)) + data[stop:]


def _number(data: bytes, random: Random) -> bytes:
    """A number where one may stand, as large as readers fear or near what was there."""
    width = random.choice((1, 2, 4, 8))
    if len(data) < width:
        return data
    place = random.randrange(len(data) - width + 1)
    if random.random() < 0.5:
        place -= place % width
    value = random.choice(_TELLING) if random.random() < 0.7 else random.getrandbits(8 * width)
    order = random.choice("<>")
    packed = struct.pack(f"{order}Q", value % 2**64)
    return data[:place] + (packed[:width] if order == "<" else packed[-width:]) + data[place + width :]


def _append(data: bytes, random: Random) -> bytes:
    return data + random.choice((random.randbytes(64), data, b"\0" * 512))


def _splice(data: bytes, random: Random) -> bytes:
    return _spliced(data, random, data)


def _spliced(data: bytes, random: Random, other: bytes) -> bytes:
    start, stop = _run(data, random)
    first, last = _run(other or data, random)
    return data[:start] + (other or data)[first:last] + data[stop:]


def _run(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.randint(1, _LONGEST_RUN))


_WAYS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip, _flip, _replace, _truncate, _insert, _delete, _zero, _repeat, _number, _number, _append, _splice,
)  # fmt: skip
