"""Photographs that the lists of a published data set name: whether they are there, and whether they are all."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gradscape.data.folders import listed_images
from gradscape.data.source import IMAGENET, Source

__all__ = ["listed_photographs", "require_folder", "warn_of_part"]

_log = logging.getLogger(__name__)


def require_folder(folder: Path, name: str) -> None:
    """Refuse a data set whose folder is not there.

    Args:
        folder: Where it should be.
        name: The data set's name.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"`{name}`: there is no folder {folder.absolute()}; --download fetches it, or --data-root says where it is"
        )


def listed_photographs(
    name: str, paths: Sequence[Path], labels: Sequence[int], classes: Sequence[str], *, published: tuple[int, int]
) -> Source:
    """Photographs by their paths, after a look that they are there.

    Args:
        name: The data set's name.
        paths: Image files, in the data set's own order.
        labels: One for each, indices into `classes`.
        classes: Class names.
        published: How many images of how many classes the split has.

    Raises:
        FileNotFoundError: Images are missing.
    """
    if missing := [path for path in paths if not path.is_file()]:
        raise FileNotFoundError(
            f"`{name}`: {len(missing):,} of {len(paths):,} images are missing, such as {missing[0].absolute()}; "
            "remove the data set's folder and load again with --download"
        )
    warn_of_part(name, (len(paths), len(classes)), published)
    source = listed_images([str(path) for path in paths], labels, tuple(classes))
    return replace(source, statistics=IMAGENET, photographs=True)


def warn_of_part(name: str, found: tuple[int, int], published: tuple[int, int]) -> None:
    """Say so where a split is not as large as it was published.

    Args:
        name: The data set's name.
        found: Images, and classes, that are here.
        published: The same of the whole split.
    """
    if found != published:
        here, whole = (f"{images:,} images of {classes:,} classes" for images, classes in (found, published))
        _log.warning("`%s` has %s here, but %s were published: a part of it, or damaged", name, here, whole)
