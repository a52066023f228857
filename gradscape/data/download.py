"""Archives of published data sets: fetched once, compared with their digest, unpacked all or not at all."""

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import final
from urllib.error import HTTPError, URLError

__all__ = ["Archive", "is_partial", "unpack_archives"]

_PARTIAL = ".partial-"


@final
@dataclass(frozen=True)
class Archive:
    """A file that a data set is published as.

    Attributes:
        url: Where it is.
        digest: ALGORITHM:HEXADECIMAL of its bytes, the algorithm as `hashlib` names it.
    """

    url: str
    digest: str

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.url.rpartition("/")[2]


def unpack_archives(archives: Iterable[Archive], root: Path, folder: Path) -> None:
    """Fetch archives into `root`, if they are not there, and unpack them as `folder`.

    Nothing is unpacked before every digest has matched, and `folder` is never there in half.

    Args:
        archives: What holds the data set.
        root: Folder of the data sets; the archives stay in it.
        folder: Becomes what the archives hold, or the folder of its name in them.

    Raises:
        ConnectionError: An archive cannot be fetched.
        ValueError: An archive is not the published one.
    """
    files = [_fetch(archive, root) for archive in archives]
    unpacked = folder.with_name(f"{_PARTIAL}{folder.name}")
    shutil.rmtree(unpacked, ignore_errors=True)  # what a killed process left
    try:
        for file in files:
            # Tar archives could hold links out of the folder and devices, which "data" refuses. Of zip archives only
            # plain files are written, and none outside.
            shutil.unpack_archive(file, unpacked, filter=None if file.suffix == ".zip" else "data")
        inner = unpacked / folder.name
        (inner if inner.is_dir() else unpacked).rename(folder)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def is_partial(file: Path) -> bool:
    """Whether a file is one of those which `unpack_archives` was stopped in the midst of.

    Args:
        file: Its path, from the folder that the data set lies in.
    """
    return any(part.startswith(_PARTIAL) for part in file.parts)


def _fetch(archive: Archive, root: Path) -> Path:
    from torch.hub import download_url_to_file  # with a progress bar, and under another name until it is whole

    file = root / archive.name
    if file.is_file():
        if not _matches(file, archive.digest):
            raise ValueError(f"{_not_published(file, archive)}; remove it and load again with --download")
        return file
    root.mkdir(parents=True, exist_ok=True)
    try:
        download_url_to_file(archive.url, str(file))
    except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
        if isinstance(error, HTTPError):
            error.close()  # its answer holds a socket
        reason = error.reason if isinstance(error, URLError) else str(error) or type(error).__name__
        raise ConnectionError(
            f"{archive.url} cannot be fetched: {reason}; try again later, or put the file into {root.absolute()}"
        ) from error
    if not _matches(file, archive.digest):
        file.unlink()
        raise ValueError(f"{_not_published(file, archive)}; it was removed, and nothing was unpacked from it")
    return file


def _not_published(file: Path, archive: Archive) -> str:
    return f"{file.absolute()} is not what was published at {archive.url} ({archive.digest.partition(':')[0]})"


def _matches(file: Path, digest: str) -> bool:
    algorithm, _, expected = digest.partition(":")
    start = partial(hashlib.new, algorithm, usedforsecurity=False)  # an md5 only tells damage
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, start).hexdigest() == expected
