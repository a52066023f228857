"""Texts of variable length in HDF5 files, read without libhdf5.

It allocates as many bytes as such a text claims to have, up to 4 GiB, and walks through the heap of texts by the
objects' own sizes, for ever if one of them is 0. Only what is needed for an attribute is read here: its message in the
header of its object, and the heap that the message points to.

Source: HDF5 File Format Specification 3.0, sections III.E (global heap), IV.A.1 (headers), IV.A.2.m (attributes).
"""

from collections.abc import Iterator
from typing import BinaryIO

from gradscape._hdf5_storage import DamageError

__all__ = ["read_long_text"]

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10
_MOST_MESSAGES = _MOST_OBJECTS = 2**16
_HEAP_HEADER = 16  # bytes, of the heap and of each object in it


def read_long_text(file: BinaryIO, address: int, name: str, *, base: int) -> bytes:
    """Read the one text of an attribute.

    Args:
        file: The whole file, whose addresses have 8 bytes.
        address: Where the header of the attribute's object begins, counted from `base`.
        name: Of the attribute.
        base: Where the file's addresses begin.

    Raises:
        DamageError: It is not there, or does not lie in the file as a whole.
    """
    for number, (kind, message) in enumerate(_messages(file, address, base)):
        if number > _MOST_MESSAGES:
            break
        if kind == _ATTRIBUTE and (value := _value(message, name.encode())) is not None:
            length, heap, index = (_integer(value[at:end]) for at, end in ((0, 4), (4, 12), (12, 16)))
            return _heap_object(file, base + heap, index)[:length]
    raise DamageError("is stored in a form of its own: rewrite the file by h5repack")


def _messages(file: BinaryIO, address: int, base: int) -> Iterator[tuple[int, bytes]]:
    """Kind and contents of each message of a header, which may lie in several blocks."""
    start = _part(file, base + address, 16)
    new = start.startswith(b"OHDR")  # of HDF5 1.8; those before have no name
    flags = start[5] if new else 0
    if new:
        width = 1 << (flags & 3)
        place = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        blocks = [(address + place + width, _integer(_part(file, base + address + place, width)))]
    else:
        blocks = [(address + 16, _integer(start[8:12]))]
    sizes, head = ((1, 3), 4 + (2 if flags & 4 else 0)) if new else ((2, 4), 8)
    for where, length in blocks:  # grows below
        block, place = _part(file, base + where, length), 0
        while place + head <= len(block):
            kind, size = _integer(block[place : place + sizes[0]]), _integer(block[place + sizes[0] : place + sizes[1]])
            message = block[place + head : place + head + size]
            if kind == _CONTINUATION and len(message) >= 16 and len(blocks) < _MOST_MESSAGES:
                at, size_there = _integer(message[:8]), _integer(message[8:16])
                blocks.append((at + 4, size_there - 8) if new else (at, size_there))  # "OCHK" … checksum
            yield kind, message
            place += head + size


def _value(message: bytes, name: bytes) -> bytes | None:
    """What an attribute's message stores; None of another attribute."""
    version = message[0] if message else 0
    lengths = [_integer(message[at : at + 2]) for at in (2, 4, 6)]  # of the name, its type and its shape
    place = 9 if version == 3 else 8
    if message[place : place + lengths[0]].rstrip(b"\0") != name:
        return None
    if version == 1:
        lengths = [-(-length // 8) * 8 for length in lengths]
    return message[place + sum(lengths) :]


def _heap_object(file: BinaryIO, address: int, index: int) -> bytes:
    header = _part(file, address, _HEAP_HEADER)
    if header[:5] != b"GCOL\x01":
        raise DamageError("is not where the file says")
    heap, place = _part(file, address, _integer(header[8:])), _HEAP_HEADER
    for _ in range(_MOST_OBJECTS):
        number, size = _integer(heap[place : place + 2]), _integer(heap[place + 8 : place + 16])
        place += _HEAP_HEADER
        if number == 0 or place + size > len(heap):  # 0 is the space that is left
            break
        if number == index:
            return heap[place : place + size]
        place += -(-size // 8) * 8
    raise DamageError("is not where the file says")


def _part(file: BinaryIO, start: int, length: int) -> bytes:
    end = file.seek(0, 2)
    if not 0 <= start <= start + length <= end:
        raise DamageError("is not where the file says")
    file.seek(start)
    return file.read(length)


def _integer(stored: bytes) -> int:
    return int.from_bytes(stored, "little")
