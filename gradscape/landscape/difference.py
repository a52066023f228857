"""Difference of two surfaces over the same images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Bool, Float

from gradscape._provenance import Provenance
from gradscape.landscape.field import Field, Reading, value_label

__all__ = ["Difference"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Difference:
    """Difference of two surfaces' losses over the same images.

    Attributes:
        alphas: (A,) coordinates.
        betas: (B,) coordinates.
        loss: (B, A) first minus second.
        loss_stderr: (B, A) paired standard error; NaN with fewer than two blocks.
        origin: The same at the trained networks themselves: difference and paired standard error; NaN where unknown.
        marks: What is out of the ordinary on either surface -> the points, (B, A).
        images: Images behind each difference.
        population: Images that those were drawn from.
        metas: Provenance of the first and of the second surface.
    """

    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    loss: Float[np.ndarray, "betas alphas"]
    loss_stderr: Float[np.ndarray, "betas alphas"]
    origin: tuple[float, float]
    marks: Mapping[str, Bool[np.ndarray, "betas alphas"]]
    images: int
    population: int
    metas: tuple[Mapping[str, Any], Mapping[str, Any]]

    def field(self, titles: tuple[str, str] | None = None) -> Field:
        """The difference as a field to draw, which says what was subtracted from what.

        Args:
            titles: Names of the two surfaces; by default their models', where these differ.

        Returns:
            Signed; its provenance is what both surfaces share, and its note says how many points differ clearly.
        """
        first, second = self.metas
        of, minus = titles or _names(first, second)
        return Field(
            name="loss_difference",
            alphas=self.alphas,
            betas=self.betas,
            values=self.loss,
            label=f"{value_label(first, 'loss')}: {of} minus {minus}",
            stderr=self.loss_stderr if np.isfinite(self.loss_stderr).any() else None,
            marks=self.marks,
            signed=True,
            origin=(Reading("difference", *self.origin),) if np.isfinite(self.origin[0]) else (),
            notes=(self._verdict(),),
            images=self.images,
            population=self.population,
            meta={
                **{key: value for key, value in first.items() if second.get(key) == value and key != "title"},
                "model": f"{of} minus {minus}",
            },
        )

    def _verdict(self) -> str:
        """How many points differ by more than chance draws of images would let them, roughly."""
        known = np.isfinite(self.loss_stderr)
        if not known.any():
            return "no standard error: fewer than two blocks of images"
        if not self.loss_stderr[known].any():
            return "exact for these images, of which all were evaluated"
        clear = int((np.abs(self.loss[known]) > 2 * self.loss_stderr[known]).sum())
        return f"{clear:,} of {self.loss.size:,} points differ by more than twice their paired standard error"


def _names(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[str, str]:
    models = (Provenance.of(first).called, Provenance.of(second).called)
    return models if all(models) and models[0] != models[1] else ("first", "second")
