"""What lies under a detector or a segmenter: a network without its classifier, and a pyramid of its maps.

Lin, Dollár, Girshick, He, Hariharan and Belongie, "Feature Pyramid Networks for Object Detection", 2016,
arXiv:1612.03144, as torchvision has it.
"""

import copy
from collections.abc import Sequence
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from gradscape.models.sites import Shape
from gradscape.models.staged import StagedNetwork, head_name

__all__ = ["FeaturePyramid", "PyramidLevel", "find_levels", "map_shapes", "remove_head"]

_SMALLEST = 32  # pixels: the last map has one
_STRIDES = (1, 2, 4, 8, 16, 32)


class PyramidLevel(NamedTuple):
    """A map of a backbone.

    Attributes:
        place: Its index among the backbone's `feature_maps`.
        channels: Its channels.
    """

    place: int
    channels: int


def map_shapes(network: StagedNetwork, image_size: int) -> list[Shape]:
    """Return the shapes of a network's `feature_maps`.

    Args:
        network: One forward pass of a copy without memory tells them.
        image_size: Side of the images in pixels.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    images = torch.empty(1, 3, image_size, image_size, device="meta", dtype=next(shadow.parameters()).dtype)
    with torch.no_grad():
        return [Shape(*features.shape[1:]) for features in shadow.feature_maps(images)]


def find_levels(backbone: nn.Module, image_size: int, *, name: str, strides: Sequence[int]) -> list[PyramidLevel]:
    """Return the last map of each resolution that is asked for.

    Args:
        backbone: Any module.
        image_size: Side of the images in pixels.
        name: Of the backbone, for the message.
        strides: Pixels of the image to one of a map, rounded up: 4, 8, 16, 32.

    Raises:
        ValueError: If the backbone is no network with stages, or lacks a resolution, or if the images are too small.
    """
    wanted = ", ".join(f"1/{stride}" for stride in strides)
    if not isinstance(backbone, StagedNetwork):
        raise ValueError(
            f"a detector or segmenter needs a backbone of gradscape with stages, and {name} has none; "
            "take one for ImageNet, such as resnet50"
        )
    if image_size < _SMALLEST:
        raise ValueError(
            f"`image_size` of a detector or segmenter must be at least {_SMALLEST} pixels, got {image_size}"
        )
    shapes = map_shapes(backbone, image_size)
    sides = {-(-image_size // stride): stride for stride in _STRIDES}
    found = {sides.get(shape.height): PyramidLevel(place, shape.channels) for place, shape in enumerate(shapes)}
    if missing := set(strides) - found.keys():
        has = ", ".join(dict.fromkeys(str(shape.height) for shape in shapes))
        raise ValueError(
            f"a detector or segmenter needs a backbone with maps at {wanted} of the image's side; {name} lacks "
            f"{', '.join(f'1/{stride}' for stride in sorted(missing))} (it makes {has} pixels of {image_size}); "
            "take one for ImageNet, such as resnet50"
        )
    return [found[stride] for stride in strides]


def remove_head(network: StagedNetwork) -> None:
    """Put a layer without parameters in the classifier's place; features then come out where logits did.

    Args:
        network: What loses its classifier.
    """
    setattr(network, head_name(network), nn.Identity())


@final
class FeaturePyramid(nn.Module):
    """A backbone with torchvision's feature pyramid on its maps.

    Attributes:
        body: The backbone, without its classifier.
        fpn: The pyramid.
        out_channels: Channels of each of its maps.

    Args:
        body: A network with stages; it loses its classifier.
        levels: Which of its maps the pyramid stands on, the finest first.
        extra_blocks: What makes coarser maps.
    """

    out_channels = 256

    def __init__(self, body: StagedNetwork, levels: Sequence[PyramidLevel], extra_blocks: ExtraFPNBlock) -> None:
        super().__init__()
        remove_head(body)
        self.body = body
        self.places = [level.place for level in levels]
        channels = [level.channels for level in levels]
        self.fpn = FeaturePyramidNetwork(channels, self.out_channels, extra_blocks=extra_blocks)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> dict[str, Tensor]:
        """Return the pyramid's maps, the finest first.

        Args:
            images: Normalized images.
        """
        maps = self.body.feature_maps(images)
        return self.fpn({str(number): maps[place] for number, place in enumerate(self.places)})
