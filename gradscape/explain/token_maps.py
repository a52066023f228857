"""Which layout a layer's output has: of those that its shape allows the one whose places look where they are drawn."""

from collections.abc import Iterator

import numpy as np

from gradscape.explain.layout import Layout, MapLayout, TokenOrder
from gradscape.explain.receptive_centers import Answers

__all__ = ["count_places", "find_grid", "has_maps_shape", "read_layout"]

_ALIKE = 1.4  # convolutions without padding distort small maps by less; Swin's 64 × 64 × 96 are further apart

_MOST_OTHER_TOKENS = 16  # class, distillation and register tokens beside those of the patches

_SILENT = 1e-3  # of the median answer: a padded patch that holds one pixel of the image answers more
_ROUNDED = 1e-9  # of the largest answer

_EXPLAINED = 0.5  # part of the variance of tokens' centers that lines explain; of a shuffled grid they explain less
_EXPLAINED_OF_MAPS = 0.3  # of a few channels, whose places look far around
_STEADY = 0.9  # correlation of the lines of a map with their numbers
_LEVEL = 0.15  # of the image: how far the centers of a single row may lie from a level line; of two rows it is 0.25
_SPAN = 0.5  # of the image, which a single row of places covers at least
_GAP = 0.5  # of a grid's step: how far centers of one line may lie apart where the order has to be found

_AXES: dict[tuple[int, int], TokenOrder] = {
    (0, 2): "batch_first",
    (1, 2): "sequence_first",
    (0, 1): "channels_first",
}


def read_layout(answers: Answers, image_size: tuple[int, int]) -> MapLayout | None:
    """Return the layout by which the measured centers of places lie as the places are drawn; None if none does so.

    Rows have to look ever further down, columns ever further to the right. Tokens that do not answer have no place.
    Where only the order of tokens is unusual, as in windows, it is found from sharp centers.

    Args:
        answers: Of the layer.
        image_size: (H, W) of the images in pixels.
    """
    if len(answers.shape) == 4:
        return _map_layout(answers)
    for axes, energies in answers.energies.items():
        if energies.shape[1] > 1:
            found = _token_layout(energies, image_size, _AXES[axes])
            if found is not None:
                return found
    return None


def count_places(answers: Answers) -> int:
    """Return how many parts of a layer's output answer, whichever of its dimensions are the channels.

    Args:
        answers: Of the layer.
    """
    return min(int(_centers(energies)[1].sum()) for energies in answers.energies.values())


def has_maps_shape(features: tuple[int, ...], image_size: tuple[int, int]) -> bool:
    """Whether the last two sides of (N, C, h, w) have about the proportions of the images, and no other two do.

    Args:
        features: Shape of what a layer gave.
        image_size: (H, W) of the images in pixels.
    """
    if len(features) != 4:
        return False
    as_last, as_first = (_distortion((features[one], features[one + 1]), image_size) for one in (1, 2))
    return as_first < _ALIKE <= as_last


def find_grid(tokens: int, image_size: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the (h, w) of the square patches among `tokens`, as many as can be; None if none tile the image.

    Args:
        tokens: Number of tokens, patches and others.
        image_size: (H, W) of the images in pixels; of volumes and signals, which have no such grid, their size.
    """
    if len(image_size) != 2:
        return None
    height, width = image_size
    sides = (side for side in range(1, min(height, width) + 1) if height % side == 0 and width % side == 0)
    grids = ((height // side, width // side) for side in sides)
    grid = next((grid for grid in grids if grid[0] * grid[1] <= tokens), None)
    return grid if grid and tokens - grid[0] * grid[1] <= _MOST_OTHER_TOKENS else None


def _map_layout(answers: Answers) -> MapLayout | None:
    if answers.energies[0, 1][0].size == 1:
        return "channels_first"
    fits = {
        "channels_first": _steadiness(answers.energies[0, 1]),
        "channels_last": _steadiness(answers.energies[0, 3]),
    }
    best = max(fits, key=lambda word: fits[word])
    if fits[best] >= _EXPLAINED_OF_MAPS:
        return "channels_last" if best == "channels_last" else "channels_first"
    return None


def _steadiness(energies: np.ndarray) -> float:
    """How much of where places (3, h, w) look is explained by their rows and columns; 0 if these are not in order."""
    if energies[0].size == 1:
        return 0.0
    centers, answered = _centers(energies)
    if answered.sum() < max(2, answered.size / 2):
        return 0.0
    explained = 1.0
    for axis, size in enumerate(answered.shape):
        if size > 1:
            lines, counts = _lines(centers[axis], answered, axis)
            if len(lines) < 2 or _correlation(lines) < _STEADY:
                return 0.0
            between = (counts * (lines - np.average(lines, weights=counts)) ** 2).sum()
            total = counts.sum() * centers[axis][answered].var()
            explained = min(explained, float(between / total) if total else 0.0)
    return explained


def _token_layout(energies: np.ndarray, image_size: tuple[int, int], tokens: TokenOrder) -> Layout | None:
    """The layout of tokens with the energies (3, L)."""
    centers, answered = _centers(energies)
    count = len(answered)
    numbers = np.flatnonzero(answered)
    extra = tuple(np.flatnonzero(~answered).tolist())
    if len(numbers) < 2:
        return None
    for grid in _grids(len(numbers), image_size):
        if _in_order(centers[:, numbers].reshape(2, *grid)):
            return Layout(grid, extra=extra, tokens=tokens)
    if not extra:  # whatever mixes places other than attention blurs where they look
        for grid in _grids(count, image_size):
            if min(grid) > 2 and _steadiness(energies.reshape(3, *grid)) >= _EXPLAINED:
                return Layout(grid, tokens=tokens)
        # and makes class tokens answer too
        for grid, start, others in _among_others(count, image_size):
            rest = np.delete(centers, np.s_[start : start + others], axis=1)
            if _in_order(rest.reshape(2, *grid)):
                return Layout(grid, extra=tuple(range(start, start + others)), tokens=tokens)
    for grid in _grids(len(numbers), image_size):
        order = _order(centers[:, numbers], grid) if min(grid) > 1 else None
        if order is not None:
            return Layout(grid, places=tuple(numbers[order].tolist()), tokens=tokens)
    return None


def _centers(energies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2, …) centers from 0 at the top or left to 1, and (…) which ones there are since anything answered."""
    energies = energies.astype(np.float64)
    strength = np.nan_to_num(energies[0], nan=0, posinf=0)
    largest = strength.max(initial=0)
    loud = strength > _ROUNDED * largest
    answered = strength > _SILENT * np.median(strength[loud]) if loud.any() else loud
    return energies[1:] / np.where(answered, strength, 1), answered & np.isfinite(energies).all(0)


def _in_order(centers: np.ndarray) -> bool:
    """Whether (2, h, w) centers lie as places: the means of rows ever further down, of columns ever further right."""
    if min(centers.shape[1:]) == 1:
        return _is_line(centers)
    for axis in (0, 1):
        lines = centers[axis].mean(axis=1 - axis)
        if not (np.diff(lines) > 0).all() or lines.var() < _EXPLAINED * centers[axis].var():
            return False
    return True


def _is_line(centers: np.ndarray) -> bool:
    """Whether the centers of a single row or column, (2, 1, w) or (2, h, 1), lie evenly along it."""
    along = 0 if centers.shape[2] == 1 else 1
    values, across = centers[along].ravel(), centers[1 - along].ravel()
    numbers = np.arange(len(values))
    slope, start = np.polyfit(numbers, values, 1)
    return bool(
        slope * len(values) > _SPAN
        and across.std() <= _LEVEL
        and np.abs(values - start - slope * numbers).max() <= _LEVEL
    )


def _order(centers: np.ndarray, grid: tuple[int, int]) -> np.ndarray | None:
    """The numbers of places (2, P) row by row, as they look; None unless rows and columns are far apart."""
    by_row = np.argsort(centers[0], kind="stable").reshape(grid)
    columns = np.argsort(centers[1][by_row], axis=1, kind="stable")
    order = np.take_along_axis(by_row, columns, axis=1)
    for axis, size in enumerate(grid):
        lines = np.moveaxis(centers[axis][order], axis, 0)
        if size > 1 and np.ptp(lines, axis=1).max() > _GAP * np.diff(lines.mean(axis=1)).min():
            return None
    return order.ravel()


def _grids(places: int, image_size: tuple[int, int]) -> list[tuple[int, int]]:
    """All (h, w) of so many places, first those of the image's proportions."""
    grids = [(height, places // height) for height in range(1, places + 1) if places % height == 0]
    return sorted(grids, key=lambda grid: _distortion(grid, image_size))


def _among_others(count: int, image_size: tuple[int, int]) -> Iterator[tuple[tuple[int, int], int, int]]:
    """Grids that leave over a few tokens, which stand before, amid or after the places: grid, start and number."""
    for others in range(1, min(_MOST_OTHER_TOKENS, count - 4) + 1):
        for grid in _grids(count - others, image_size):
            for start in (0, (count - others) // 2, count - others):
                if min(grid) > 1:
                    yield grid, start, others


def _lines(values: np.ndarray, chosen: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of the chosen (h, w) values by rows or columns, and of how many; without lines that have none."""
    counts = chosen.sum(axis=1 - axis)
    sums = np.where(chosen, values, 0).sum(axis=1 - axis)
    return sums[counts > 0] / counts[counts > 0], counts[counts > 0]


def _correlation(lines: np.ndarray) -> float:
    """Of values with their numbers."""
    return float(np.corrcoef(lines, np.arange(len(lines)))[0, 1]) if np.ptp(lines) else 0.0


def _distortion(grid: tuple[int, int], image_size: tuple[int, int]) -> float:
    """By which factor the proportions of a grid differ from the image's, from 1 on."""
    factor = image_size[0] * grid[1] / (image_size[1] * grid[0])
    return max(factor, 1 / factor)
