"""Detectors: torchvision's, on any backbone of the registry.

Faster R-CNN: Ren, He, Girshick and Sun, 2015, arXiv:1506.01497. Mask R-CNN: He, Gkioxari, Dollár and Girshick, 2017,
arXiv:1703.06870. RetinaNet: Lin, Goyal, Girshick, He and Dollár, 2017, arXiv:1708.02002. FCOS: Tian, Shen, Chen and He,
2019, arXiv:1904.01355. Each stands on a feature pyramid (see `gradscape.models.pyramid`).

Differs from torchvision: images are square canvases that are neither normalized nor resized here; all layers of the
backbone can be trained, and its normalizations are of batches; RetinaNet's coarser maps come from the backbone's last
map, as in its paper and in mmdetection, and not from the pyramid's.

Differs from the papers: anchors are made for canvases of 512 pixels and more (32 to 512 pixels wide, RetinaNet's with
three sizes an octave). For a smaller canvas they shrink with it, the finest from 32 × image_size / 512 pixels, rounded
and at least 8, on. FCOS has no anchors: its points have the pyramid's strides on every canvas.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from gradscape._journal import undone
from gradscape.models.pyramid import FeaturePyramid, find_levels
from gradscape.models.staged import StagedNetwork

__all__ = ["Detector", "create_faster_rcnn", "create_fcos", "create_mask_rcnn", "create_retinanet"]

_SHARES = (0.5, 1.0, 2.0)  # heights of anchors over their widths
_FINEST_ANCHOR, _FULL_CANVAS, _SMALLEST_ANCHOR = 32, 512, 8
_PROPOSALS, _MASKED = 1000, 100  # of one image, as mmdetection counts operations


class _Canvases(GeneralizedRCNNTransform):
    """Takes images as they are, where torchvision's own normalizes, resizes and pads; masks come back on them."""

    def __init__(self) -> None:
        super().__init__(min_size=1, max_size=1, image_mean=[0.0] * 3, image_std=[1.0] * 3)

    def forward(self, images: Any, targets: Any = None) -> tuple[ImageList, Any]:
        return _listed(images), targets


def _listed(images: Tensor) -> ImageList:
    height, width = images.shape[-2:]
    return ImageList(images, [(height, width)] * len(images))


@final
class Detector(nn.Module):
    """One of torchvision's detectors, each of whose images stands for itself.

    Attributes:
        detector: Torchvision's own, with the backbone and the pyramid in it.

    Args:
        detector: Torchvision's own, on a `FeaturePyramid`. It shall take its images as they are: its transform is
            replaced.
    """

    def __init__(self, detector: GeneralizedRCNN | RetinaNet | FCOS) -> None:
        super().__init__()
        detector.transform = _Canvases()
        self.detector: Any = detector

    @property
    def backbone(self) -> StagedNetwork:
        """The network under the pyramid, without its classifier."""
        return self.detector.backbone.body

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> list[dict[str, Tensor]]:
        """Find objects.

        Args:
            images: Normalized images.

        Returns:
            For each image the `boxes` (K, 4) in pixels (x1, y1, x2, y2), their `classes` (K,) from 0 and `scores` (K,),
            the best first, and from Mask R-CNN the `masks` (K, height, width) in [0, 1].
        """
        with self._switched(training=False):
            found = self.detector(images)
        return [self._described(one) for one in found]

    def losses(
        self, images: Float[Tensor, "batch 3 height width"], targets: Mapping[str, Tensor]
    ) -> dict[str, Float[Tensor, " batch"]]:
        """Return torchvision's losses by its names, for each image by itself.

        Normalizations and dropout of the backbone go by the module's mode. In `eval()` the anchors and proposals that
        two-stage detectors sample are drawn by the image's boxes alone, and each image goes through by itself, so that
        it has the same losses, to the bit, in each batch and each call, and the global random state stays; in `train()`
        they are drawn from that state.

        Args:
            images: Normalized images.
            targets: `boxes` (N, M, 4) in pixels, `classes` (N, M) from 0 and −1 in empty slots, `crowd` (N, M), whose
                boxes are left out, and for Mask R-CNN `masks` (N, M, height, width).

        Raises:
            ValueError: If a box has no width or height, or masks are missing.
        """
        if self.finds_masks and "masks" not in targets:
            raise ValueError("`targets` must have masks for mask_rcnn; load the data with them")
        # Rounding that depends on the batch would choose other proposals of nearly the same score.
        together = self.detector.backbone(images) if self.training else None
        found = []
        with self._switched(training=True):
            for place in range(len(images)):
                image, objects = images[place : place + 1], _real_objects(targets, place)
                with nullcontext() if self.training else _seeded(_digest(objects), images.device):
                    if together is None:
                        features = self.detector.backbone(image)
                    else:
                        features = {level: one[place : place + 1] for level, one in together.items()}
                    found.append(self._losses_of(image, features, objects))
        return {name: torch.stack([one[name] for one in found]) for name in found[0]}

    def run_layers(self, images: Float[Tensor, "batch 3 height width"]) -> None:
        """Run every layer, on as many objects whatever the images show, to count operations; also without memory.

        The heads of a two-stage detector see 1000 proposals of each image and Mask R-CNN's mask head 100, as
        mmdetection counts.

        Args:
            images: Normalized images.
        """
        detector = self.detector
        maps = detector.backbone(images)
        if not isinstance(detector, GeneralizedRCNN):
            detector.head([*maps.values()])
            return
        detector.rpn.head([*maps.values()])
        heads: Any = detector.roi_heads

        def cut(count: int, side: int) -> Tensor:
            return images.new_zeros(count * len(images), FeaturePyramid.out_channels, side, side)

        heads.box_predictor(heads.box_head(cut(_PROPOSALS, heads.box_roi_pool.output_size[0])))
        if self.finds_masks:
            heads.mask_predictor(heads.mask_head(cut(_MASKED, heads.mask_roi_pool.output_size[0])))

    @property
    def _first_class(self) -> int:
        """Two-stage detectors call the background 0."""
        return int(isinstance(self.detector, GeneralizedRCNN))

    @property
    def finds_masks(self) -> bool:
        """Whether it finds the pixels of each object too, and needs them for its losses."""
        return isinstance(self.detector, MaskRCNN)

    def _described(self, found: dict[str, Tensor]) -> dict[str, Tensor]:
        described = {
            "boxes": found["boxes"],
            "classes": found["labels"] - self._first_class,
            "scores": found["scores"],
        }
        return {**described, "masks": found["masks"].squeeze(1)} if "masks" in found else described

    def _losses_of(self, image: Tensor, features: dict[str, Tensor], objects: dict[str, Tensor]) -> dict[str, Tensor]:
        """What torchvision's `forward` does behind its backbone, of one image."""
        boxes = objects["boxes"].to(image)
        known = {**objects, "boxes": boxes, "labels": objects["classes"] + self._first_class}
        detector, images = self.detector, _listed(image)
        if isinstance(detector, GeneralizedRCNN):
            proposals, first = detector.rpn(images, features, [known])
            _, second = detector.roi_heads(features, proposals, images.image_sizes, [known])
            return {**second, **first}
        maps = [*features.values()]
        outputs, anchors = detector.head(maps), detector.anchor_generator(images, maps)
        if isinstance(detector, FCOS):
            points = [one.shape[-2] * one.shape[-1] for one in maps]
            return detector.compute_loss([known], outputs, anchors, points)
        return detector.compute_loss([known], outputs, anchors)

    @contextmanager
    def _switched(self, *, training: bool) -> Iterator[None]:
        """Let torchvision's detector itself train or find objects; its layers stay in their modes."""
        names = ("transform", "rpn", "roi_heads")
        modules = [self.detector, *(getattr(self.detector, name) for name in names if hasattr(self.detector, name))]
        before = [(module, module.training) for module in modules]

        def put_back() -> None:
            for module, mode in before:
                module.training = mode

        with undone(put_back):
            for module in modules:
                module.training = training
            yield


def _real_objects(targets: Mapping[str, Tensor], place: int) -> dict[str, Tensor]:
    """One image's boxes, classes and masks, without empty slots and crowds."""
    real = (targets["classes"][place] >= 0) & ~targets["crowd"][place]
    objects = {name: targets[name][place][real] for name in ("boxes", "classes", "masks") if name in targets}
    if (objects["boxes"][:, 2:] <= objects["boxes"][:, :2]).any():
        flat = next(box for box in objects["boxes"].tolist() if box[2] <= box[0] or box[3] <= box[1])
        raise ValueError(f"`targets` must have boxes of positive width and height, got {flat}; leave such ones out")
    return objects


def _digest(objects: Mapping[str, Tensor]) -> int:
    digest = 0
    for name in ("boxes", "classes"):
        digest = zlib.crc32(objects[name].detach().cpu().numpy().tobytes(), digest)
    return digest


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from a seed on one device; afterwards its random state is as before, and others are not touched."""
    cuda = device.type == "cuda"
    generator = torch.cuda.default_generators[device.index] if cuda else torch.default_generator
    before = generator.get_state()

    def put_back() -> None:
        generator.set_state(before)

    with undone(put_back):
        generator.manual_seed(seed)
        yield


def _anchors(image_size: int, *, steps: int) -> AnchorGenerator:
    """Five levels of anchors, each twice as large as those before, with so many sizes to an octave."""
    finest = max(_SMALLEST_ANCHOR, round(_FINEST_ANCHOR * min(1.0, image_size / _FULL_CANVAS)))
    sizes = tuple(tuple(int(finest * 2**level * 2 ** (step / steps)) for step in range(steps)) for level in range(5))
    return AnchorGenerator(sizes, (_SHARES,) * len(sizes))


def _pyramid(backbone: StagedNetwork, image_size: int, strides: Sequence[int], coarser: str) -> FeaturePyramid:
    levels = find_levels(backbone, image_size, name=type(backbone).__name__, strides=strides)
    channels = levels[-1].channels if coarser == "backbone" else FeaturePyramid.out_channels
    extra = LastLevelMaxPool() if coarser == "pooled" else LastLevelP6P7(channels, FeaturePyramid.out_channels)
    return FeaturePyramid(backbone, levels, extra)


def _two_stage(kind: type[FasterRCNN], backbone: StagedNetwork, num_classes: int, image_size: int) -> Detector:
    pyramid = _pyramid(backbone, image_size, (4, 8, 16, 32), "pooled")
    return Detector(kind(pyramid, num_classes + 1, rpn_anchor_generator=_anchors(image_size, steps=1)))


def create_faster_rcnn(backbone: StagedNetwork, *, num_classes: int, image_size: int) -> Detector:
    """Build Faster R-CNN on the maps at 1/4, 1/8, 1/16 and 1/32 of the image and a pooled one at 1/64.

    Args:
        backbone: A network with stages; it loses its classifier.
        num_classes: Number of classes, without the background.
        image_size: Side of the images in pixels.

    Raises:
        ValueError: If the backbone lacks such maps.
    """
    return _two_stage(FasterRCNN, backbone, num_classes, image_size)


def create_mask_rcnn(backbone: StagedNetwork, *, num_classes: int, image_size: int) -> Detector:
    """Build Mask R-CNN: Faster R-CNN with a head that finds the pixels of each object.

    Args:
        backbone: As in `create_faster_rcnn`.
        num_classes: As there.
        image_size: As there.

    Raises:
        ValueError: If the backbone lacks such maps.
    """
    return _two_stage(MaskRCNN, backbone, num_classes, image_size)


def create_retinanet(backbone: StagedNetwork, *, num_classes: int, image_size: int) -> Detector:
    """Build RetinaNet on the maps at 1/8, 1/16 and 1/32 of the image, and two coarser ones made from the last of these.

    Args:
        backbone: As in `create_faster_rcnn`.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.

    Raises:
        ValueError: If the backbone lacks such maps.
    """
    pyramid = _pyramid(backbone, image_size, (8, 16, 32), "backbone")
    return Detector(RetinaNet(pyramid, num_classes, anchor_generator=_anchors(image_size, steps=3)))


def create_fcos(backbone: StagedNetwork, *, num_classes: int, image_size: int) -> Detector:
    """Build FCOS on the maps at 1/8, 1/16 and 1/32 of the image, and two coarser ones made from the pyramid's last.

    Args:
        backbone: As in `create_faster_rcnn`.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.

    Raises:
        ValueError: If the backbone lacks such maps.
    """
    return Detector(FCOS(_pyramid(backbone, image_size, (8, 16, 32), "pyramid"), num_classes))
