"""What was measured so far: set by set, saved now and then, and taken up again."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import Tensor

from gradscape.landscape.engine import Block
from gradscape.landscape.image_counts import IMAGES_ASKED
from gradscape.landscape.sharpness.disturbances import Disturbances
from gradscape.landscape.sharpness.rises import Sharpness

__all__ = ["RiseLedger"]

_SAVE_SECONDS = 5.0
_FIXED = ("weights", "functions", "parameters", "steps", "draws", "seed", "plan")


@final
class RiseLedger:
    """Rises of the sets of images that are done.

    Args:
        search: What is measured of each.
        asked: How many images there are; None where that is not known before.
        population: How many these were drawn from; None for as many as there are.
        path: A file that is kept up to date; None for none.
    """

    def __init__(
        self, search: Disturbances, asked: int | None, population: int | None, path: str | os.PathLike[str] | None
    ) -> None:
        if population is not None and asked is not None and population < asked:
            raise ValueError(f"`population` must be at least the {asked} images, got {population}")
        self._search, self._asked, self._population, self._path = search, asked, population, path
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._digests: list[str] = []
        self._met = 0  # sets that have come by
        self._saved = time.monotonic()

    def begin(self, meta: Mapping[str, Any], *, m: int) -> None:
        """Say what is measured, and take up what the file holds.

        Raises:
            ValueError: The file holds something else.
        """
        self._meta, self._m = dict(meta), m
        if self._path is None or not Path(self._path).exists():
            return
        stored, name = Sharpness.load(self._path), os.fspath(self._path)
        now: dict[str, Any] = {entry: self._meta[entry] for entry in _FIXED}
        now |= {"m": m, "norm": self._search.norm, "cases": self._search.cases}
        then: dict[str, Any] = {entry: stored.meta.get(entry) for entry in _FIXED}
        then |= {"m": stored.m, "norm": stored.norm, "cases": stored.cases}
        if changed := [entry for entry, value in now.items() if then[entry] != value]:
            raise ValueError(
                f"`path` {name} holds another measurement, of other {' and '.join(changed)}: give another path, or "
                "remove the file"
            )
        self._digests = list(stored.meta["blocks"])
        sets = len(self._digests)
        self._parts = [
            (losses, stored.rises[:, number * m : (number + 1) * m], stored.drawn[:, :, number])
            for number, losses in enumerate(stored.loss.reshape(sets, m))
        ]

    @property
    def images(self) -> int:
        """Images of the sets that have come by."""
        return self._met * self._m

    @property
    def total(self) -> int:
        """Images of all sets, as far as that is known before."""
        return max(self.images, self._whole(self.images))

    def holds(self, block: Block) -> bool:
        """Whether the next set was measured before.

        Raises:
            ValueError: Another one was, in its place.
        """
        self._met += 1
        if self._met > len(self._digests):
            return False
        if self._digests[self._met - 1] != block.digest:
            raise ValueError(f"`path` {self._path} holds a measurement on other images: give another path")
        return True

    def add(self, block: Block, losses: Tensor, rises: Tensor, drawn: Tensor) -> None:
        """Add what was measured of a set, and save now and then."""
        self._digests.append(block.digest)
        self._parts.append((losses.numpy(), rises.numpy(), drawn.numpy()))
        if self._path is not None and time.monotonic() - self._saved > _SAVE_SECONDS:
            self.result(save=True)

    def result(self, *, save: bool = False) -> Sharpness:
        """All of it; `save` writes the file, if there is one."""
        losses, rises, drawn = zip(*self._parts, strict=True)
        images = self._m * len(losses)
        population = max(self._population or 0, self._asked or 0, images)
        told = {"images": images, IMAGES_ASKED: self._whole(images), "population": population, "blocks": self._digests}
        found = Sharpness(
            cases=self._search.cases,
            loss=np.concatenate(losses),
            rises=np.concatenate(rises, axis=1),
            drawn=np.stack(drawn, axis=2),
            m=self._m,
            norm=self._search.norm,
            population=population,
            meta={**self._meta, **told},
        )
        if save and self._path is not None:
            found.save(self._path)
            self._saved = time.monotonic()
        return found

    def _whole(self, images: int) -> int:
        """Images in whole sets, of all that there are."""
        return images if self._asked is None else self._asked // self._m * self._m
