"""How a layer's output is laid out: which of its dimensions are the images, the channels and the places."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, final

from torch import Tensor

__all__ = ["Layout", "MapLayout", "TokenOrder", "as_maps", "check_layout"]

TokenOrder = Literal["batch_first", "sequence_first", "channels_first"]
"""Which dimensions tokens have: (N, L, C), (L, N, C) or (N, C, L)."""

_AXES: Final[dict[str, tuple[int, int, int]]] = {  # where images, tokens and channels are
    "batch_first": (0, 1, 2),
    "sequence_first": (1, 0, 2),
    "channels_first": (0, 2, 1),
}
_DIMENSIONS: Final = {"channels_first": "(N, C, h, w)", "channels_last": "(N, h, w, C)"}


@final
@dataclass(frozen=True)
class Layout:
    """Where the places of a layer that gives tokens are among its tokens.

    Attributes:
        grid: (h, w) of the places, which follow one another row by row.
        extra: Numbers of the tokens that have no place, such as class tokens and registers; negative ones count from
            the end, as in `range(-4, 0)`.
        places: Numbers of the tokens that are places, row by row, where they come in another order; None for all but
            the extra ones, in the order in which they are.
        tokens: "batch_first" (N, L, C), "sequence_first" (L, N, C) or "channels_first" (N, C, L).

    Example:
        >>> import torch
        >>> tokens = torch.rand(2, 7, 8)  # a class token, and 2 rows of 3 patches
        >>> maps = as_maps(tokens, Layout(grid=(2, 3), extra=(0,)))
        >>> maps.shape, bool((maps[1, :, 1, 0] == tokens[1, 4]).all())
        (torch.Size([2, 8, 2, 3]), True)
    """

    grid: tuple[int, int]
    extra: tuple[int, ...] | range = ()
    places: tuple[int, ...] | None = None
    tokens: TokenOrder = "batch_first"

    def __post_init__(self) -> None:
        if min(self.grid) < 1:
            raise ValueError(f"`grid` must be the number of rows and columns of the places, got {self.grid}")
        if self.tokens not in _AXES:
            raise ValueError(f"`tokens` must be {', '.join(_AXES)}, got {self.tokens!r}")
        if self.places is not None and (self.extra or len(self.places) != self.grid[0] * self.grid[1]):
            raise ValueError(
                f"`places` must number the {self.grid[0]}·{self.grid[1]} tokens of `grid`, "
                "and stands instead of `extra`"
            )

    def numbers(self, count: int) -> tuple[int, ...]:
        """Return the numbers of the places among so many tokens, row by row.

        Raises:
            ValueError: If they do not fill the grid.
        """
        if self.places is not None:
            found = self.places
        else:
            without = {number % count for number in self.extra if -count <= number < count}
            found = tuple(number for number in range(count) if number not in without)
        if len(found) != self.grid[0] * self.grid[1] or not 0 <= min(found) <= max(found) < count:
            raise ValueError(
                f"`layout` must fit the layer, but of its {count} tokens {len(found)} are places, "
                f"and the grid has {self.grid[0]}·{self.grid[1]}"
            )
        return found


MapLayout = Literal["channels_first", "channels_last"] | Layout | Callable[[Tensor], Tensor]
"""(N, C, h, w), (N, h, w, C), tokens, or a function from what the layer gives to maps (N, C, h, w)."""


def as_maps(features: Tensor, layout: MapLayout) -> Tensor:
    """Return a layer's output, or a gradient of its shape, as maps (N, C, h, w).

    Args:
        features: What the layer gave.
        layout: How it is laid out.

    Raises:
        TypeError: If a function gives no tensor.
        ValueError: If the layout does not fit the output.
    """
    if isinstance(layout, Layout):
        return _laid_out(features, layout)
    if layout == "channels_first":
        return features
    if layout == "channels_last":
        return features.movedim(-1, 1)
    maps: Any = layout(features)
    if not isinstance(maps, Tensor):
        raise TypeError(f"`layout` must give maps (N, C, h, w) as a tensor, got {type(maps).__name__}")
    if maps.ndim != 4:
        raise ValueError(f"`layout` must give maps (N, C, h, w), got the shape {tuple(maps.shape)}")
    return maps


def check_layout(layout: Any) -> None:
    """Refuse what is no layout.

    Raises:
        TypeError: If it is of another kind.
        ValueError: If it is another word.
    """
    if isinstance(layout, str) and layout not in _DIMENSIONS:
        words = ", ".join(f"{word!r} {dimensions}" for word, dimensions in _DIMENSIONS.items())
        raise ValueError(f"`layout` must be {words}, a Layout of tokens or a function, got {layout!r}")
    if not isinstance(layout, str | Layout) and not callable(layout):
        raise TypeError(f"`layout` must be a word, a Layout or a function, got {type(layout).__name__}")


def _laid_out(features: Tensor, layout: Layout) -> Tensor:
    if features.ndim != 3:
        raise ValueError(
            f"`layout` lays out tokens, in three dimensions, but the layer gives {tuple(features.shape)}; "
            "say 'channels_first' or 'channels_last'"
        )
    by_image = features.permute(_AXES[layout.tokens])
    numbers = layout.numbers(by_image.shape[1])
    first = numbers[0]
    if numbers == tuple(range(first, first + len(numbers))):
        chosen = by_image[:, first : first + len(numbers)]
    else:
        chosen = by_image[:, list(numbers)]
    return chosen.unflatten(1, layout.grid).movedim(3, 1)
