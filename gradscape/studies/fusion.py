"""Features before attention, its part, and both together, of pictures or of noise."""

import dataclasses
from pathlib import Path

import torch

from gradscape.data.pictures import Pictures, save_shown_pictures
from gradscape.explain.fusion import fusion_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.images.fusion import figure_fusion
from gradscape.models import Classifier
from gradscape.studies.drawing import save_pages
from gradscape.studies.networks import provenance
from gradscape.studies.picture_names import picture_stems, titles

__all__ = ["NOISE", "draw_fusion", "fuse_pictures", "noise_pictures"]

NOISE = "standard normal noise"


def fuse_pictures(
    name: str, model: Classifier, pictures: Pictures, output: Path, *, block: str | None = None, noise: bool = False
) -> FusionMaps:
    """Collect one attention block's features and write them to `fusion.npz`, beside the pictures.

    Args:
        name: The network's name.
        model: The network.
        pictures: Images in [0, 1], or `noise_pictures`.
        output: The folder.
        block: Name of the block; None for the one that the network's paper shows.
        noise: Whether the pictures are `noise_pictures`.

    Raises:
        ValueError: There is no such block.
    """
    # Noise is what the bare network takes: normalizing it would shift and stretch it.
    shown = model.network if noise else model
    found = fusion_maps(shown, pictures.images.to(model.mean.device), block=block)
    maps = dataclasses.replace(found, meta={**found.meta, **provenance(name, model, pictures)})
    maps.save(output / "fusion.npz")
    if not noise:
        save_shown_pictures(pictures, output)
    return maps


def noise_pictures(image_size: int, *, seed: int) -> Pictures:
    """Return one image of standard normal noise.

    Args:
        image_size: Its side in pixels.
        seed: Seed of the noise.

    Source: UPANets, figure 19.
    """
    noise = torch.randn(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(seed))
    return Pictures(noise, (NOISE,))


def draw_fusion(maps: FusionMaps, pictures: Pictures, output: Path, *, noise: bool = False) -> list[Path]:
    """Draw a page for each picture, `fusion_PICTURE`, or `fusion` of noise.

    Returns:
        What was written.
    """
    written = []
    for number, stem in enumerate(picture_stems(pictures)):
        image = None if noise else pictures.images[number]
        page = figure_fusion(maps, number=number, image=image, names=titles(pictures))
        written += save_pages(iter([page]), output / ("fusion" if noise else f"fusion_{stem}"))
    return written
