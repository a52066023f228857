"""Features before attention, its part, and both together, of pictures or of noise."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch

from gradscape.data.pictures import Pictures, save_shown_pictures
from gradscape.explain.fusion import fusion_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.images.fusion import figure_fusion
from gradscape.models import Classifier
from gradscape.studies.drawing import save_pages
from gradscape.studies.networks import provenance
from gradscape.studies.picture_names import picture_stems, titles

__all__ = ["NOISE", "FusedPictures", "draw_fusion", "fuse_pictures", "noise_pictures"]

NOISE = "standard normal noise"


@final
@dataclass(frozen=True, eq=False)
class FusedPictures:
    """One attention block's features of some pictures.

    Attributes:
        pictures: Images in [0, 1], or `noise_pictures`.
        maps: The features.
        noise: Whether the pictures are `noise_pictures`.
    """

    pictures: Pictures
    maps: FusionMaps
    noise: bool

    def save(self, folder: Path) -> list[Path]:
        """Write the features, `fusion.npz`, and beside them the pictures, `pictures.npz`, where they are no noise.

        Returns:
            What was written.
        """
        self.maps.save(folder / "fusion.npz")
        return [folder / "fusion.npz", *([] if self.noise else [save_shown_pictures(self.pictures, folder)])]


def fuse_pictures(
    name: str, model: Classifier, pictures: Pictures, *, block: str | None = None, noise: bool = False
) -> FusedPictures:
    """Collect one attention block's features.

    Args:
        name: The network's name.
        model: The network.
        pictures: Images in [0, 1], or `noise_pictures`.
        block: Name of the block; None for the one that the network's paper shows.
        noise: Whether the pictures are `noise_pictures`.

    Raises:
        ValueError: There is no such block.
    """
    # Noise is what the bare network takes: normalizing it would shift and stretch it.
    shown = model.network if noise else model
    maps = fusion_maps(shown, pictures.images.to(model.mean.device), block=block)
    about = {**maps.meta, **provenance(name, model, pictures)}
    return FusedPictures(pictures, replace(maps, meta=about), noise)


def noise_pictures(image_size: int, *, seed: int) -> Pictures:
    """Return one image of standard normal noise.

    Args:
        image_size: Its side in pixels.
        seed: Seed of the noise.

    Source: UPANets, figure 19.
    """
    noise = torch.randn(1, 3, image_size, image_size, generator=torch.Generator().manual_seed(seed))
    return Pictures(noise, (NOISE,))


def draw_fusion(fused: FusedPictures, folder: Path) -> list[Path]:
    """Draw a page for each picture, `fusion_PICTURE`, or `fusion` of noise.

    Returns:
        What was written.
    """
    written = []
    for number, stem in enumerate(picture_stems(fused.pictures)):
        image = None if fused.noise else fused.pictures.images[number]
        page = figure_fusion(fused.maps, number=number, image=image, names=titles(fused.pictures))
        written += save_pages(iter([page]), folder / ("fusion" if fused.noise else f"fusion_{stem}"))
    return written
