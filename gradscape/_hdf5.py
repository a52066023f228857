"""HDF5 files: the one way in, which checks before it reads, and the one that writes what can be checked."""

import errno
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import final

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5i, h5o, h5s, h5t

from gradscape._files import check_readable, replacing
from gradscape._hdf5_storage import (
    DamageError,
    check_storage,
    held_bytes,
    number_type,
    open_object,
)
from gradscape._hdf5_texts import read_long_text
from gradscape._names import error_line
from gradscape._profile import spent_on
from gradscape._text_files import parse_json

__all__ = ["CHECKSUMS", "Hdf5Group", "open_hdf5", "save_hdf5"]

CHECKSUMS = "gradscape_crc32"
"""Attribute of the root: CRC-32 of everything that `save_hdf5` wrote, as JSON, by path. Files of others, and those of
0.1.0, have none."""

_GROWTH = 2**22  # bytes that a file in memory grows by
_LOCKED = (errno.EAGAIN, errno.EACCES)  # what systems say of a lock; that the file may be read is known by then
_REMEDY = "bring a whole copy of the file, or make it again"
_LEAST_ROOM, _ROOM = 2**27, 4  # bytes that any file's numbers may take, and as many times its own size
_LARGEST_COUNT = 2**53
_LONGEST_TEXT = 60_000


@final
class _OpenFile:
    """An open file: its name, what may still be read from it, and what its contents must sum up to."""

    def __init__(self, path: str | os.PathLike[str], file: h5py.File) -> None:
        self.path = os.fspath(path)
        self.held = held_bytes(path)
        self.room = max(_LEAST_ROOM, _ROOM * self.held)
        self.checksums: Mapping[str, int] = {}  # by path; empty where nothing was written with the file to check it by
        with self.reading("/"):
            self.root = Hdf5Group(self, h5g.open(file.id, b"/"), "")
        if self.root.says(CHECKSUMS):
            text = self.root.text(CHECKSUMS)
            with self.reading(CHECKSUMS):
                self.checksums = _parsed(text)

    def promises(self, item: str) -> bool:
        """Whether the checksums say that there is an item, or something within it."""
        return any(written == item or written.startswith(f"{item}/") for written in self.checksums)

    def verify(self, item: str, checksum: Callable[[], int]) -> None:
        """Refuse an item that is not what was written."""
        if item in self.checksums and self.checksums[item] != checksum():
            raise DamageError(
                f"is not what was written; whoever changed it on purpose removes the attribute {CHECKSUMS}"
            )

    @contextmanager
    def reading(self, item: str) -> Iterator[None]:
        """Say of whatever goes wrong inside which item of which file it was: libhdf5 and h5py raise anything."""
        try:
            yield
        except DamageError as problem:
            raise ValueError(f"{self.path} cannot be read: `{item}` {problem}; {_REMEDY}") from problem
        except MemoryError as problem:
            raise ValueError(f"{self.path} cannot be read: `{item}` does not fit into memory") from problem
        except Exception as problem:
            if isinstance(problem, OSError) and problem.errno:
                raise OSError(problem.errno, os.strerror(problem.errno), self.path) from problem
            said = error_line(
                ValueError(*problem.args) if isinstance(problem, KeyError) else problem
            )  # which quotes it
            raise ValueError(f"{self.path} is a damaged HDF5 file: `{item}`: {said}; {_REMEDY}") from problem


@final
class Hdf5Group:
    """A group of a file that is open for reading; what is asked for is checked before it is read.

    Whatever is wrong with the file is a ValueError that names the file, the item and what to do.
    """

    def __init__(self, source: _OpenFile, identifier: h5g.GroupID, place: str) -> None:
        self._source, self._id, self._place = source, identifier, place

    @property
    def path(self) -> str:
        """The file."""
        return self._source.path

    @property
    def checked(self) -> bool:
        """Whether the file was written with checksums, by which everything that is read is checked."""
        return bool(self._source.checksums)

    def __contains__(self, name: str) -> bool:
        """Whether something is there, or was when the file was written with checksums: opening it then says more."""
        item = self._spelled(name)
        with self._source.reading(item):
            return self._source.promises(item) or bool(self._id.links.exists(name.encode()))

    def names(self) -> list[str]:
        """What lies in the group."""
        with self._source.reading(self._place or "/"):
            return [name.decode(errors="replace") for name in self._id]

    def is_group(self, name: str) -> bool:
        """Whether what is there is a group, and not somewhere else."""
        with self._source.reading(self._spelled(name)):
            return isinstance(open_object(self._id, name), h5g.GroupID)

    def group(self, name: str) -> "Hdf5Group":
        """A group within."""
        item = self._spelled(name)
        with self._source.reading(item):
            found = open_object(self._id, name)
            if not isinstance(found, h5g.GroupID):
                raise DamageError("must be a group")
        return Hdf5Group(self._source, found, item)

    def array(
        self, name: str, *, shape: tuple[int, ...] | None = None, axes: int | None = None, kinds: str = "iuf"
    ) -> np.ndarray:
        """Read a dataset of numbers.

        Args:
            name: Of the dataset.
            shape: The shape that it must have, if that is known.
            axes: How many axes it must have, if that is known.
            kinds: Which numbers it may hold, by NumPy's letters: integers "iu", floats "f", complex ones "c".

        Returns:
            As stored.
        """
        item = self._spelled(name)
        with self._source.reading(item):
            values = self._read(name, shape=shape, axes=axes, kinds=kinds)
            self._source.verify(item, lambda: _checksum(item, [values]))
        return values

    def arrays(self, name: str) -> list[np.ndarray]:
        """Read a group of datasets "0", "1", … of floats or complex numbers, as stored."""
        group = self.group(name)
        found = [group._part(number) for number in range(group.length())]
        with self._source.reading(group._place):
            self._source.verify(group._place, lambda: _checksum(group._place, found))
        return found

    def says(self, name: str) -> bool:
        """Whether the group has an attribute."""
        with self._source.reading(self._spelled(name)):
            return bool(h5a.exists(self._id, name.encode()))

    def text(self, name: str) -> str:
        """Read an attribute that is text."""
        item = self._spelled(name)
        with self._source.reading(item):
            attribute = self._attribute(name)
            kind = attribute.get_type()
            if not isinstance(kind, h5t.TypeStringID) or attribute.shape not in ((), (1,)):
                raise DamageError("must be one text")
            if kind.is_variable_str():
                stored = self._long_text(name)
            elif (size := kind.get_size()) <= self._source.held:
                fixed = np.empty(attribute.shape, f"S{size}")
                attribute.read(fixed)
                stored = fixed.item()
            else:
                raise DamageError("is longer than the file")
            text = stored.decode()
            self._source.verify(item, lambda: _checksum(item, text))
        return text

    def whole(self, name: str) -> int:
        """Read an attribute that is a whole number, not negative."""
        item = self._spelled(name)
        with self._source.reading(item):
            attribute = self._attribute(name)
            if attribute.shape != ():
                raise DamageError("must be one number")
            number = np.empty((), number_type(attribute.get_type(), "iu"))
            attribute.read(number)
            if not 0 <= number <= _LARGEST_COUNT:
                raise DamageError(f"must be from 0 to 2⁵³, but is {number}")
            self._source.verify(item, lambda: _checksum(item, str(number)))
        return int(number)

    def length(self) -> int:
        """How many objects lie in the group."""
        with self._source.reading(self._place or "/"):
            return int(self._id.get_num_objs())

    def refusal(self, name: str, said: str) -> ValueError:
        """Return the error for an item whose values cannot be: `said` goes on after its name."""
        return ValueError(f"{self.path} cannot be read: `{self._spelled(name)}` {said}; {_REMEDY}")

    def _spelled(self, name: str) -> str:
        return f"{self._place}/{name}" if self._place else name

    def _attribute(self, name: str) -> h5a.AttrID:
        if not h5a.exists(self._id, name.encode()):
            raise DamageError("is missing")
        return h5a.open(self._id, name.encode())

    def _long_text(self, name: str) -> bytes:
        making = h5i.get_file_id(self._id).get_create_plist()
        if making.get_sizes() != (8, 8):
            raise DamageError("is stored in a form of its own: rewrite the file by h5repack")
        with open(self.path, "rb") as file:
            return read_long_text(file, h5o.get_info(self._id).addr, name, base=making.get_userblock())

    def _part(self, number: int) -> np.ndarray:
        with self._source.reading(self._spelled(str(number))):
            return self._read(str(number), kinds="fc")

    def _read(
        self, name: str, *, kinds: str, shape: tuple[int, ...] | None = None, axes: int | None = None
    ) -> np.ndarray:
        dataset = open_object(self._id, name)
        if not isinstance(dataset, h5d.DatasetID):
            raise DamageError("must be a dataset")
        dtype, found = number_type(dataset.get_type(), kinds), dataset.shape
        if found is None or shape not in (None, found) or axes not in (None, len(found)):
            raise DamageError(f"must have {f'the shape {shape}' if shape else f'{axes} axes'}, but has {found}")
        check_storage(dataset, found, dtype.itemsize, held=self._source.held, most=self._source.room)
        values = np.empty(found, dtype)
        self._source.room -= max(values.nbytes, 8 * values.size)  # as the numbers that they become
        if values.size:
            dataset.read(h5s.ALL, h5s.ALL, values)
        return values


@contextmanager
def open_hdf5(path: str | os.PathLike[str], what: str) -> Iterator[Hdf5Group]:
    """Open a file for reading.

    A file that another program has open for writing is not read, as half of it may be old and half new.

    Args:
        path: The file.
        what: What it should be ("direction file"), for the message.

    Yields:
        Its root.

    Raises:
        FileNotFoundError: There is no such file.
        BlockingIOError: Another program has it open for writing.
        OSError: It cannot be opened: it is a folder, it may not be read, …
        ValueError: It is not an HDF5 file, or a damaged one.
    """
    check_readable(path, what)
    with _opened_file(path) as file:
        yield _OpenFile(path, file).root


@spent_on("writing")
def save_hdf5(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray | list[np.ndarray] | str],
    attributes: Mapping[str, str | int] | None = None,
    *,
    checksums: bool = True,
) -> None:
    """Make a file in memory, then write it, atomically.

    The library itself must not write to disks: where one is full it fails again at every later object, at the end of
    the program too, and says so at length.

    Args:
        path: The file.
        arrays: By path within it; a list becomes a group of datasets "0", "1", ….
        attributes: Of groups that `arrays` have, by path and name: "group/name".
        checksums: Whether to store by what the contents can be checked; other programs' files have nothing of the kind.
    """
    found = {}
    with h5py.File.in_memory(block_size=_GROWTH) as file:
        for item, values in arrays.items():
            for number, part in enumerate(values if isinstance(values, list) else [values]):
                file[f"{item}/{number}" if isinstance(values, list) else item] = part
            found[item] = _checksum(item, values if isinstance(values, list) else [np.asarray(values)])
        for item, value in (attributes or {}).items():
            place, _, name = item.rpartition("/")
            # Of a fixed length, which lies beside the name and not in a heap, as long as HDF5 takes it there.
            short = isinstance(value, str) and value.isascii() and len(value) <= _LONGEST_TEXT
            file[place].attrs[name] = np.bytes_(value) if short else value
            found[item] = _checksum(item, str(value))
        if checksums:
            file.attrs[CHECKSUMS] = np.bytes_(json.dumps(found))
        file.flush()
        image = file.id.get_file_image()
    with replacing(path) as partial:
        partial.write_bytes(image)


def _opened_file(path: str | os.PathLike[str]) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as problem:
        name = os.fspath(path)
        if problem.errno in _LOCKED:
            raise BlockingIOError(
                f"{name} is open in another program, which may be writing it: wait until that has ended or close it"
            ) from problem
        if problem.errno:
            raise OSError(problem.errno, os.strerror(problem.errno), name) from problem
        if h5py.is_hdf5(path):
            raise ValueError(f"{name} is a damaged or cut off HDF5 file: {error_line(problem)}; {_REMEDY}") from problem
        checkpoint = "; it is a checkpoint: gradscape landscape makes surfaces of those"
        advice = checkpoint if name.endswith(".safetensors") else ""
        raise ValueError(f"{name} is not an HDF5 file{advice}") from problem


def _parsed(text: str) -> Mapping[str, int]:
    found = parse_json(text)
    if not isinstance(found, dict):
        raise DamageError("must be a record of checksums")
    return found


def _checksum(item: str, contents: str | Sequence[np.ndarray]) -> int:
    if isinstance(contents, str):
        return zlib.crc32(f"{item}\n{contents}".encode())
    checksum = zlib.crc32(item.encode())
    for values in map(np.asarray, contents):
        checksum = zlib.crc32(f"\n{values.dtype.str} {values.shape}\n".encode(), checksum)
        checksum = zlib.crc32(np.ascontiguousarray(values).data, checksum)
    return checksum
