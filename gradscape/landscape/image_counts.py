"""How many images the points of a surface or a line have seen, of how many they were to see."""

from collections.abc import Mapping
from typing import Any

__all__ = ["IMAGES_ASKED", "IMAGES_LEAST", "asked_images", "describe_images", "was_stopped"]

IMAGES_ASKED = "images_asked"  # how many every point was to see
_GAIN = 1.1  # below which a regression saves nothing to speak of

IMAGES_LEAST = "images_least"  # where points have seen different numbers, the smallest; "images" is the largest


def asked_images(meta: Mapping[str, Any]) -> int:
    """How many images every point was to see, as the provenance says; as many as were seen where it does not say."""
    return max(int(meta.get(IMAGES_ASKED) or 0), int(meta.get("images") or 0))


def was_stopped(meta: Mapping[str, Any]) -> bool:
    """Whether some point has seen fewer images than it was to: a limit of time or error, or Ctrl-C, came before."""
    return int(meta.get(IMAGES_LEAST, meta.get("images") or 0)) < asked_images(meta)


def describe_images(meta: Mapping[str, Any], *, used: int, population: int) -> str:
    """How many images each point saw, and of how many: "128 of 512 images (stopped early)".

    Args:
        meta: Provenance of a surface or a line.
        used: Images at each point.
        population: How many these were drawn from.
    """
    estimator = meta.get("estimator", {})
    levels = estimator.get("levels") or [{"images": used}]
    if levels[0]["images"] > used:
        most = f"{levels[0]['points']:,} points {levels[0]['images']:,}"
        return f"{used:,} of {population:,} images, {most} (regression estimate{_describe_gain(estimator)})"
    least, asked = int(meta.get(IMAGES_LEAST, used)), asked_images(meta)
    if not was_stopped(meta):
        return f"{used:,} of {population:,} images" if population > used else f"{used:,} images"
    seen = f"{used:,}" if least == used else f"{least:,} to {used:,}"
    drawn = f", drawn from {population:,}" if population > asked else ""
    return f"{seen} of {asked:,} images (stopped early{drawn})"


def _describe_gain(estimator: Mapping[str, Any]) -> str:
    """What the estimator saves; nothing where it is not known."""
    gain = estimator.get("gain")
    if gain is None:
        return ""
    return f", worth {gain:.2g} times the images" if gain > _GAIN else ", no better than plain means"
