"""Planes in the space of images: through three images, or along the gradient of one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gradscape._names import unknown_name

__all__ = ["ImagePlane", "Norm", "along_gradient", "excess", "through_images"]

Norm = Literal["sign", "l2"]
"""How a gradient becomes a direction: by its signs, each pixel by as much, or divided by its length."""

_NORMS = ("sign", "l2")
_IN_LINE = 1e-6  # of the lengths: images nearer to a line than that span no plane


@final
@dataclass(frozen=True, eq=False)
class ImagePlane:
    """Images origin + alpha·first + beta·second on a grid.

    Attributes:
        origin: (C, H, W), float64 as both directions.
        first: Direction of alpha.
        second: Direction of beta.
        alphas: Coordinates, (A,).
        betas: Coordinates, (B,).
        positions: Coordinates of the given images, (images, 2).
    """

    origin: Float[Tensor, "channels height width"]
    first: Float[Tensor, "channels height width"]
    second: Float[Tensor, "channels height width"]
    alphas: Float[np.ndarray, "alphas"]
    betas: Float[np.ndarray, "betas"]
    positions: Float[np.ndarray, "images 2"]

    def batches(self, size: int) -> Iterator[tuple[Float[Tensor, "batch channels height width"], slice]]:
        """Images of the grid, row by row from the lowest beta, as float32; and which points of the flat grid they are.

        Args:
            size: Images in a batch.
        """
        count = len(self.alphas) * len(self.betas)
        for begin in range(0, count, size):
            chosen = np.arange(begin, min(begin + size, count))
            alpha, beta = (
                torch.from_numpy(axis[where]).view(-1, 1, 1, 1)
                for axis, where in ((self.alphas, chosen % len(self.alphas)), (self.betas, chosen // len(self.alphas)))
            )
            yield (self.origin + alpha * self.first + beta * self.second).float(), slice(begin, begin + len(chosen))


def excess(images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch"]:
    """By how much that pixel of each image lies outside of [0, 1] which does so most; below 0 where all are inside."""
    return (torch.maximum(-images, images - 1)).flatten(1).amax(1)


def through_images(images: Float[Tensor, "3 channels height width"], *, steps: int, margin: float) -> ImagePlane:
    """The plane through three images, with directions at right angles and of length 1, so that shapes are true.

    The first image lies at the origin, the second on the axis of alpha; a coordinate of 1 is a Euclidean distance of 1
    between images with pixels in [0, 1].

    Args:
        images: The three.
        steps: Points along the longer side; the points are as far from each other along both sides.
        margin: By how much of the larger extent of the three the grid goes beyond them on every side.

    Raises:
        ValueError: The images lie in a line, or an option is out of range.

    Source: Somepalli et al., Can Neural Nets Learn the Same Model Twice?, CVPR 2022, section 3.1.
    """
    _check_steps(steps)
    if not 0 <= margin < 100:
        raise ValueError(f"`margin` must be from 0 to below 100, got {margin}")
    origin, second, third = images.detach().double().cpu()
    across, up = second - origin, third - origin
    first = across / across.norm().clamp_min(1e-300)
    along = float((up * first).sum())
    rest = up - along * first
    height, length = float(rest.norm()), float(across.norm())
    if min(length, height) <= _IN_LINE * max(length, float(up.norm()), 1e-300):
        raise ValueError("`images` must be three that do not lie in a line, since these span no plane: choose others")
    positions = np.array([[0.0, 0.0], [length, 0.0], [along, height]])
    low, high = positions.min(axis=0), positions.max(axis=0)
    beyond = margin * float((high - low).max())
    step = float((high - low).max() + 2 * beyond) / (steps - 1)
    axes: list[np.ndarray] = []
    for begin, end in zip(low - beyond, high + beyond, strict=True):
        count = int(np.ceil((end - begin) / step - 1e-9)) + 1
        middle = (begin + end) / 2
        axes.append(middle + step * (np.arange(count) - (count - 1) / 2))
    return ImagePlane(origin, first, rest / height, axes[0], axes[1], positions)


def along_gradient(
    image: Float[Tensor, "channels height width"],
    gradient: Float[Tensor, "channels height width"],
    *,
    norm: Norm,
    radius: float | None,
    steps: int,
    seed: int,
) -> ImagePlane:
    """The plane along a gradient and a random direction, with the image in its middle.

    By "sign" the first direction is the sign of the gradient and the second are random signs: a coordinate of 1 is a
    change of 1 in every pixel. By "l2" the first is the gradient over its length, the second random normal, at right
    angles to it and of length 1: a coordinate of 1 is a Euclidean distance of 1.

    Args:
        image: In [0, 1].
        gradient: Of a loss by the image.
        norm: "sign" or "l2".
        radius: Half-width of the grid; by default 32/255 by "sign", and by "l2" the distance of that many in every
            pixel.
        steps: Points along each side; an odd number has the image itself in the middle.
        seed: Of the random direction.

    Raises:
        ValueError: The gradient is 0 or not finite, or an option is unknown or out of range.

    Source: Goodfellow, Shlens and Szegedy 2015 (sign of the gradient); Tramèr et al., Ensemble Adversarial Training,
        ICLR 2018, figure 1 (loss over the gradient's sign and random signs).
    """
    if norm not in _NORMS:
        raise unknown_name("norm", norm, _NORMS)
    _check_steps(steps)
    usual = 32 / 255 * (1 if norm == "sign" else float(np.sqrt(image.numel())))
    reach = usual if radius is None else radius
    if not 0 < reach < np.inf:
        raise ValueError(f"`radius` must be positive, got {radius}")
    gradient = gradient.detach().double().cpu()
    if not gradient.isfinite().all() or not gradient.any():
        raise ValueError(
            "`image` must have a loss with a gradient, but it is 0 or not finite there (the network is certain): "
            "give another class or image"
        )
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
    if norm == "sign":
        first, second = gradient.sign(), drawn.sign()
    else:
        first = gradient / gradient.abs().max()  # whose square could be 0 otherwise
        first = first / first.norm()
        second = drawn - (drawn * first).sum() * first
        second = second / second.norm()
    axis = np.linspace(-reach, reach, steps)
    return ImagePlane(image.detach().double().cpu(), first, second, axis, axis.copy(), np.zeros((1, 2)))


def _check_steps(steps: int) -> None:
    if steps < 2:
        raise ValueError(f"`steps` must be at least 2, got {steps}")
