"""What an HDF5 file may ask of its reader: checked before libhdf5 follows, allocates or unpacks anything."""

import math
import os
from typing import final

import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5t, h5z

__all__ = ["DamageError", "check_storage", "held_bytes", "number_type", "open_object"]

_FILTERS = (h5z.FILTER_DEFLATE, h5z.FILTER_LZF, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32)
_PACKING = (h5z.FILTER_DEFLATE, h5z.FILTER_LZF)
_MOST_PACKED = 1032  # numbers that deflate can make of one: 258 bytes from two bits
_USUAL = ((h5t.IEEE_F64LE, np.dtype("<f8")), (h5t.IEEE_F32LE, np.dtype("<f4")), (h5t.STD_I64LE, np.dtype("<i8")))

_LARGEST_UNDOUBTED, _DISK_PACKS = 2**30, 100  # bytes; how many of a file a disk keeps in one

_MOST_STEPS = 64  # from link to link, before an object is there


@final
class DamageError(ValueError):
    """A part of a file is not as it must be; the message goes on after the part's name: "must be numbers"."""


def held_bytes(path: str | os.PathLike[str]) -> int:
    """How many bytes a file has; of a huge one, of those that its disk keeps: the rest was never written.

    Of others the disk's own count says nothing: it may pack what it keeps, or not have counted yet.
    """
    told = os.stat(path)
    on_disk = 512 * getattr(told, "st_blocks", 0)  # 0 where a file system does not tell
    doubted = on_disk and told.st_size > max(_LARGEST_UNDOUBTED, _DISK_PACKS * on_disk)
    return on_disk if doubted else told.st_size


def open_object(group: h5g.GroupID, path: str) -> h5g.GroupID | h5d.DatasetID | h5t.TypeID:
    """Open what lies in a group, by links that stay in the file.

    libhdf5 would follow a soft link through others that lead to other files.

    Raises:
        DamageError: It is not there, or elsewhere.
    """
    found, parts = group, path.split("/")
    for _ in range(_MOST_STEPS):
        if not parts:
            return found
        if not isinstance(found, h5g.GroupID):
            raise DamageError("must lie in a group")
        name = parts.pop(0).encode()
        try:
            kind = found.links.get_info(name).type
        except (KeyError, RuntimeError):
            if found.links.exists(name):
                raise
            raise DamageError("is missing") from None
        if kind == h5l.TYPE_HARD:
            found = h5o.open(found, name)
        elif kind == h5l.TYPE_SOFT:
            target = found.links.get_val(name).decode()
            found = h5g.open(found, b"/") if target.startswith("/") else found
            parts = [*filter(None, target.split("/")), *parts]
        else:
            raise DamageError("is a link to another file, which is not followed: copy what it stands for into this one")
    raise DamageError("is a link that ends nowhere")


def number_type(found: h5t.TypeID, kinds: str) -> np.dtype:
    """The type of a dataset of numbers.

    Args:
        found: As the file has it.
        kinds: NumPy's letters of the kinds that will do: "iu" integers, "f" floats, "c" complex ones.

    Raises:
        DamageError: It is another one: text, references, records, or numbers that no processor knows.
    """
    for usual, dtype in _USUAL:
        if found.equal(usual) and dtype.kind in kinds:
            return dtype
    wanted = "integers" if kinds == "iu" else "numbers"
    if found.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.COMPOUND):  # complex numbers are compounds of two
        raise DamageError(f"must be {wanted}")
    dtype = found.dtype
    if dtype.kind not in kinds:
        raise DamageError(f"must be {wanted}, but is {_cut(str(dtype))}")
    if not found.equal(h5t.py_create(dtype, logical=True)):
        raise DamageError("has numbers in a form of its own")
    return dtype


def check_storage(dataset: h5d.DatasetID, shape: tuple[int, ...], itemsize: int, *, held: int, most: int) -> None:
    """Refuse a dataset that is larger than what the file stores of it, or lies elsewhere.

    Args:
        dataset: The dataset.
        shape: Its shape.
        itemsize: Bytes of one of its numbers.
        held: Bytes that the file has.
        most: Bytes that may be read.

    Raises:
        DamageError: What is wrong with it.
    """
    declared, stored, packed = math.prod(shape) * itemsize, dataset.get_storage_size(), 1
    largest = declared
    if dataset.get_offset() is None:  # not simply a stretch of this file
        making = dataset.get_create_plist()
        layout = making.get_layout()
        if layout == h5d.VIRTUAL or making.get_external_count():
            raise DamageError("lies in other files, which are not followed: copy its numbers into this one")
        filters = {making.get_filter(number)[0] for number in range(making.get_nfilters())}
        if unknown := filters - set(_FILTERS):
            raise DamageError(f"is packed by filter {max(unknown)}: unpack it by h5repack -f NONE")
        packed = _MOST_PACKED if filters & set(_PACKING) else 1
        if layout == h5d.CHUNKED and declared:  # a chunk is unpacked as a whole
            largest = max(declared, math.prod(making.get_chunk()) * itemsize)
    if declared > stored * packed or stored > held:
        raise DamageError(f"must have {declared:,} bytes, but the file holds {min(stored, held):,} of it")
    if largest > most:
        raise DamageError(f"unpacks to {largest:,} bytes, of which at most {most:,} are read")


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
