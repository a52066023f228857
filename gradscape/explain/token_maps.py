"""A layer's output as maps (N, C, h, w): convolutions have them, transformers flatten them or put channels last."""

from torch import Tensor

__all__ = ["as_maps", "find_grid"]

_ALIKE = 1.4  # convolutions without padding distort small maps by less; Swin's 64 × 64 × 96 are further apart

_MOST_OTHER_TOKENS = 16  # class, distillation and register tokens before those of the patches


def as_maps(features: Tensor, image_size: tuple[int, ...]) -> Tensor:
    """Return a layer's output, or a gradient of its shape, as maps (N, C, h, w); of volumes and signals as it is.

    Known from the shape alone: maps (N, C, h, w); channels last (N, h, w, C), as in Swin, where h × w has about the
    image's proportions and the last two sides do not; tokens (N, L, C), as in ViT, where the last h·w
    of the L are a grid of square patches, and those before, such as the class token, have no place and are dropped.

    Args:
        features: What the layer gave.
        image_size: (H, W) of the images in pixels; (D, H, W) of volumes, (L,) of signals.

    Raises:
        ValueError: If the shape is none of these.
    """
    if len(image_size) != 2:
        return _as_they_are(features, image_size)
    if features.ndim == 4:
        _, first, second, third = features.shape
        as_last, as_second = (_distortion(grid, image_size) for grid in ((first, second), (second, third)))
        return features.movedim(3, 1) if as_last < _ALIKE <= as_second else features
    has_tokens = features.ndim == 3 and features.shape[2] > 1
    grid = find_grid(features.shape[1], image_size) if has_tokens else None
    if grid is None:
        raise ValueError(
            f"`target_layer` must give maps (N, C, h, w), (N, h, w, C), or tokens (N, L, C) on a grid over images of "
            f"{image_size[0]}×{image_size[1]} pixels, got the shape {tuple(features.shape)}; choose another layer"
        )
    return features[:, -grid[0] * grid[1] :].unflatten(1, grid).movedim(3, 1)


def _as_they_are(features: Tensor, image_size: tuple[int, ...]) -> Tensor:
    if features.ndim != 2 + len(image_size):
        wanted = {1: "(N, C, l)", 3: "(N, C, d, h, w)"}[len(image_size)]
        raise ValueError(
            f"`target_layer` must give maps {wanted} of inputs with {len(image_size)} "
            f"dimension{'s' * (len(image_size) > 1)}, got the shape {tuple(features.shape)}; choose another layer"
        )
    return features


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


def _distortion(grid: tuple[int, int], image_size: tuple[int, int]) -> float:
    """By which factor the proportions of a grid differ from the image's, from 1 on."""
    factor = image_size[0] * grid[1] / (image_size[1] * grid[0])
    return max(factor, 1 / factor)
