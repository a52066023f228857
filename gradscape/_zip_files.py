"""Zip files: what a directory declares, held against the size of the file."""

import errno
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MOST_INFLATED", "check_contents", "opened_zip", "within_file"]

MOST_INFLATED = 2**30
"""How many bytes a file may hold however small it is; more only if they are at most a hundred times its size."""

_MOST_RATIO = 100  # of a whole file: measured numbers hardly get smaller, and a bomb's thousand is zeros alone
_DEFLATE_RATIO = 1032  # no deflated member can hold more (zlib's own technical note)
_SLACK = 2**16
_CHUNK = 2**20
_MOST_MEMBERS = 100_000
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


@contextmanager
def opened_zip(path: str | os.PathLike[str]) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open a zip file whose directory can be true.

    Args:
        path: The file.

    Yields:
        The archive, and its members by name.

    Raises:
        ValueError: Something lies before the members; they lie over each other, are there twice, are encrypted, or
            declare more than they can hold; or a place outside of the file is asked for.
        BadZipFile: It is no zip file, or a damaged one.
        OSError: The system cannot read it.
    """
    with within_file(), zipfile.ZipFile(path) as archive:
        yield archive, _checked_members(archive, os.stat(path).st_size)


@contextmanager
def within_file() -> Iterator[None]:
    """Tell what the system says of a place before the file's beginning as the file's own fault.

    Raises:
        ValueError: Such a place was asked for.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError("a part of it would lie outside of the file") from error


def _checked_members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise ValueError(f"it lists {len(members):,} members")
    if members and min(one.header_offset for one in members) > 0:
        # Python would move every place by as much; other readers, torch's among them, look where the directory says.
        raise ValueError("something lies before its first member")
    if sum(one.compress_size for one in members) > size:
        raise ValueError("its members lie over each other, or outside of it")
    inflated = sum(one.file_size for one in members)
    if inflated > max(MOST_INFLATED, _MOST_RATIO * size):
        raise ValueError(f"it has {size:,} bytes and claims to hold {inflated:,}")
    for one in members:
        if one.flag_bits & _ENCRYPTED or one.compress_type not in _PACKED:
            raise ValueError(f"`{one.filename}` is encrypted, or packed in a way that is not read")
        most = one.compress_size * (1 if one.compress_type == zipfile.ZIP_STORED else _DEFLATE_RATIO)
        if one.file_size > most + _SLACK:
            raise ValueError(f"`{one.filename}` claims {one.file_size:,} bytes and has {one.compress_size:,}")
        archive.open(one).close()  # whose name before its bytes must be that of the directory, also if it is not read
    named = {one.filename: one for one in members}
    if len(named) < len(members):
        raise ValueError("it holds two members of one name")
    return named


def check_contents(archive: zipfile.ZipFile) -> None:
    """Compare every member with its checksum, for readers that do not; none is where it was written as 0.

    Raises:
        BadZipFile: One has other bytes than were written.
    """
    for member in archive.infolist():
        if member.CRC:
            with archive.open(member) as opened:
                while opened.read(_CHUNK):
                    pass
