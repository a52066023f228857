"""DeepLabv3: Chen, Papandreou, Schroff and Adam, "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017.

arXiv:1706.05587. Torchvision's head on any backbone of the registry, without the auxiliary classifier.

Differs from the paper, as torchvision does: the rates of the head are 12, 24 and 36 whatever the stride of the map
under it, and blocks are not given several rates of their own. A ResNet's last two stages are dilated instead of
strided, so that its last map has an eighth of the image's side; other backbones keep their strides and end at 1/32.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from gradscape.models.pyramid import map_shapes, remove_head
from gradscape.models.staged import StagedNetwork

__all__ = ["Segmenter", "create_deeplabv3"]


@final
class Segmenter(nn.Module):
    """Names the class of each pixel.

    Attributes:
        backbone: A network with stages, without its classifier.
        head: From its last map to logits of the same size.

    Args:
        backbone: It loses its classifier.
        head: What stands on its last map.
    """

    def __init__(self, backbone: StagedNetwork, head: nn.Module) -> None:
        super().__init__()
        remove_head(backbone)
        self.backbone = backbone
        self.head = head

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes height width"]:
        """Return logits of each pixel, bilinearly enlarged to the images.

        Args:
            images: Normalized images.
        """
        logits = self.head(self.backbone.feature_maps(images)[-1])
        return F.interpolate(logits, size=images.shape[-2:], mode="bilinear", align_corners=False)


def create_deeplabv3(backbone: StagedNetwork, *, num_classes: int, image_size: int) -> Segmenter:
    """Build DeepLabv3 on a backbone's last map.

    Args:
        backbone: A network with stages; it loses its classifier.
        num_classes: Number of classes, with the background where the data have one.
        image_size: Side of the images in pixels.
    """
    return Segmenter(backbone, DeepLabHead(map_shapes(backbone, image_size)[-1].channels, num_classes))
