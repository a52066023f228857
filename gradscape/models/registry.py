"""Every model, attention, detector and segmenter by name: what makes it, the paper it comes from, what it trains on.

Whoever adds one writes it in a file of its own and enters it here; everything else follows from the entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, final

from torch import nn

from gradscape.models.attentions.attention_augmented import attach_attention_augmented
from gradscape.models.attentions.bam import attach_bam
from gradscape.models.attentions.cbam import attach_cbam
from gradscape.models.attentions.double_attention import attach_double_attention
from gradscape.models.attentions.efficient_channel import attach_efficient_channel
from gradscape.models.attentions.gather_excite import attach_gather_excite, attach_gather_excite_theta
from gradscape.models.attentions.global_context import attach_global_context
from gradscape.models.attentions.non_local import attach_non_local
from gradscape.models.attentions.selective_kernel import attach_selective_kernel
from gradscape.models.attentions.spatial_group_enhance import attach_spatial_group_enhance
from gradscape.models.attentions.squeeze_excitation import attach_squeeze_excitation, attach_squeeze_excitation_gate
from gradscape.models.attentions.stand_alone import attach_stand_alone
from gradscape.models.attentions.style_recalibration import attach_style_recalibration
from gradscape.models.ba2m import attach_ba2m
from gradscape.models.backbones.cifar_resnets import CifarResNet
from gradscape.models.backbones.densenet import DenseNet100, DenseNet121, DenseNet201
from gradscape.models.backbones.dla import CifarDLA
from gradscape.models.backbones.efficientnet import EfficientNetB0
from gradscape.models.backbones.mobilenet_v1 import MobileNetV1
from gradscape.models.backbones.mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from gradscape.models.backbones.preact_resnets import (
    create_preact_resnet,
    create_preact_resnet110,
    create_preact_resnet200,
)
from gradscape.models.backbones.regnet import CifarRegNetY400MF
from gradscape.models.backbones.resnets import create_resnet
from gradscape.models.backbones.resnexts import CifarResNeXt
from gradscape.models.backbones.senet import CifarSENet18
from gradscape.models.backbones.shufflenet_v2 import ShuffleNetV2
from gradscape.models.backbones.vgg import CifarVGG16
from gradscape.models.backbones.wide_resnets import create_wide_resnet
from gradscape.models.detection import create_faster_rcnn, create_fcos, create_mask_rcnn, create_retinanet
from gradscape.models.residual_attention import ResidualAttentionNetwork
from gradscape.models.residual_attention_imagenet import ResidualAttentionImageNet
from gradscape.models.segmentation import create_deeplabv3
from gradscape.models.spanet import attach_spatial_pyramid, attach_spatial_pyramid_gate
from gradscape.models.ulsam import attach_ulsam
from gradscape.models.upanets import UPANet

__all__ = ["ATTENTIONS", "KINDS", "MODELS", "AttentionEntry", "KindEntry", "ModelEntry", "TargetKind", "targets_of"]

TargetKind = Literal["classes", "boxes", "masks", "pixels"]
"""What is known of each training image: its class, boxes in it, boxes with the mask of each, or each pixel's class."""

Builder = Callable[..., nn.Module]
Attach = Callable[..., None]


@final
@dataclass(frozen=True)
class ModelEntry:
    """A model that has a name.

    Attributes:
        build: Makes the network from `num_classes`, `image_size` if it asks for it, and keyword-only options.
        paper: Where the model comes from.
        image_size: Side in pixels of the images that it is made for.
        num_classes: Number of classes of the data that it is made for.
        recipe: The family of training recipes that its paper has, a key of `gradscape.training.families.FAMILIES`; None
            if the paper is none of those whose training is known here.
    """

    build: Builder
    paper: str
    image_size: int = 32
    num_classes: int = 10
    recipe: str | None = None


@final
@dataclass(frozen=True)
class AttentionEntry:
    """An attention that has a name, behind the `+` of a model's.

    Attributes:
        attach: Adds it to a `gradscape.models.sites.Host`; its keyword-only parameters are the options behind the `@`.
        paper: Where the attention comes from.
        recipe: As in `ModelEntry`.
    """

    attach: Attach
    paper: str
    recipe: str | None = None


@final
@dataclass(frozen=True)
class KindEntry:
    """A kind of detector or segmenter, before the `:` of a model's name; what follows names its backbone.

    Attributes:
        build: Makes it from the backbone, `num_classes` and `image_size`.
        paper: Where it comes from.
        targets: What it is trained with.
        dilated: Whether a ResNet under it is dilated (see `gradscape.models.backbones.resnets.dilate`).
    """

    build: Builder
    paper: str
    targets: TargetKind = "boxes"
    dilated: bool = False


def _small(paper: str, builders: Mapping[str, Builder], *, recipe: str | None = None) -> dict[str, ModelEntry]:
    """Models of one paper for images of 32 pixels, as CIFAR-10 has them."""
    return {name: ModelEntry(build, paper, recipe=recipe) for name, build in builders.items()}


def _large(paper: str, builders: Mapping[str, Builder], *, recipe: str | None = None) -> dict[str, ModelEntry]:
    """Models of one paper for ImageNet: their stems reduce the image to a quarter or half."""
    return {name: ModelEntry(build, paper, 224, 1000, recipe) for name, build in builders.items()}


_RESIDUAL_ATTENTION = "Residual attention, arXiv:1704.06904; report on it"
_SPANET = "SPANet, doi:10.1109/TMM.2021.3068576"
_UPANETS = "UPANets, arXiv:2103.08640"

MODELS: dict[str, ModelEntry] = {
    **_small(
        _UPANETS,
        {
            "upanet16": partial(UPANet, 16),
            "upanet32": partial(UPANet, 32),
            "upanet64": partial(UPANet, 64),
        },
        recipe="upanets",
    ),
    **_small(
        _UPANETS,
        {
            "upanet16_conv": partial(UPANet, 16, attention="conv"),
            "upanet16_exc_gap": partial(UPANet, 16, pooling="exc_gap"),
            "upanet16_exc_spa": partial(UPANet, 16, pooling="exc_spa"),
            "upanet16_final_gap": partial(UPANet, 16, pooling="final_gap"),
            "upanet16_final_spa": partial(UPANet, 16, pooling="final_spa"),
            "upanet16_no_cpa": partial(UPANet, 16, attention="none"),
            "upanet16_slim": partial(UPANet, 16, width=1),
            "upanet32_conv": partial(UPANet, 32, attention="conv"),
            "upanet32_exc_gap": partial(UPANet, 32, pooling="exc_gap"),
            "upanet32_exc_spa": partial(UPANet, 32, pooling="exc_spa"),
            "upanet32_final_gap": partial(UPANet, 32, pooling="final_gap"),
            "upanet32_final_spa": partial(UPANet, 32, pooling="final_spa"),
            "upanet32_no_cpa": partial(UPANet, 32, attention="none"),
            "upanet32_slim": partial(UPANet, 32, width=1),
            "upanet64_conv": partial(UPANet, 64, attention="conv"),
            "upanet64_exc_gap": partial(UPANet, 64, pooling="exc_gap"),
            "upanet64_exc_spa": partial(UPANet, 64, pooling="exc_spa"),
            "upanet64_final_gap": partial(UPANet, 64, pooling="final_gap"),
            "upanet64_final_spa": partial(UPANet, 64, pooling="final_spa"),
            "upanet64_no_cpa": partial(UPANet, 64, attention="none"),
            "upanet64_slim": partial(UPANet, 64, width=1),
        },
        recipe="upanets_ablation",
    ),
    **_small(
        _RESIDUAL_ATTENTION,
        {
            "attention128": partial(ResidualAttentionNetwork, 128),
            "attention164": partial(ResidualAttentionNetwork, 164),
        },
        recipe="residual_attention_92",
    ),
    **_small(
        _RESIDUAL_ATTENTION,
        {
            "attention56": partial(ResidualAttentionNetwork, 56),
            "attention56_as_reported": partial(ResidualAttentionNetwork, 56, as_reported=True),
        },
        recipe="residual_attention",
    ),
    **_small(
        _RESIDUAL_ATTENTION,
        {
            "attention92": partial(ResidualAttentionNetwork, 92),
            "attention92_as_reported": partial(ResidualAttentionNetwork, 92, as_reported=True),
        },
        recipe="residual_attention_92",
    ),
    **_large(
        _RESIDUAL_ATTENTION,
        {
            "attention56_imagenet": partial(ResidualAttentionImageNet, 56),
            "attentioninception56_imagenet": partial(ResidualAttentionImageNet, 56, unit="inception"),
            "attentionnext56_imagenet": partial(ResidualAttentionImageNet, 56, unit="aggregated"),
        },
        recipe="residual_attention",
    ),
    **_large(
        _RESIDUAL_ATTENTION,
        {"attention92_imagenet": partial(ResidualAttentionImageNet, 92)},
        recipe="residual_attention_92",
    ),
    **_small(
        "ResNet, arXiv:1512.03385; variants: arXiv:1712.09913",
        {
            "resnet20": partial(CifarResNet, 20),
            "resnet20_noshort": partial(CifarResNet, 20, shortcut="none"),
            "resnet20_projection": partial(CifarResNet, 20, shortcut="projection"),
            "resnet32": partial(CifarResNet, 32),
            "resnet32_noshort": partial(CifarResNet, 32, shortcut="none"),
            "resnet32_projection": partial(CifarResNet, 32, shortcut="projection"),
            "resnet44": partial(CifarResNet, 44),
            "resnet44_noshort": partial(CifarResNet, 44, shortcut="none"),
            "resnet44_projection": partial(CifarResNet, 44, shortcut="projection"),
            "resnet56": partial(CifarResNet, 56),
            "resnet56_noshort": partial(CifarResNet, 56, shortcut="none"),
            "resnet56_projection": partial(CifarResNet, 56, shortcut="projection"),
            "resnet110": partial(CifarResNet, 110),
            "resnet110_noshort": partial(CifarResNet, 110, shortcut="none"),
            "resnet110_projection": partial(CifarResNet, 110, shortcut="projection"),
        },
    ),
    **_large(
        "ResNet, arXiv:1512.03385; variants: arXiv:1712.09913",
        {
            "resnet18": partial(create_resnet, 18),
            "resnet34": partial(create_resnet, 34),
            "resnet50": partial(create_resnet, 50),
            "resnet101": partial(create_resnet, 101),
            "resnet152": partial(create_resnet, 152),
        },
    ),
    **_small(
        "ResNet, arXiv:1512.03385",
        {
            "cifar_resnet18": partial(create_resnet, 18, small_images=True),
            "cifar_resnet34": partial(create_resnet, 34, small_images=True),
            "cifar_resnet50": partial(create_resnet, 50, small_images=True),
            "cifar_resnet101": partial(create_resnet, 101, small_images=True),
            "cifar_resnet152": partial(create_resnet, 152, small_images=True),
        },
    ),
    **_small(
        "Pre-activation ResNet, arXiv:1603.05027",
        {
            "cifar_preact_resnet18": partial(create_preact_resnet, 18),
            "cifar_preact_resnet34": partial(create_preact_resnet, 34),
            "cifar_preact_resnet50": partial(create_preact_resnet, 50),
            "cifar_preact_resnet101": partial(create_preact_resnet, 101),
            "cifar_preact_resnet110": create_preact_resnet110,
            "cifar_preact_resnet152": partial(create_preact_resnet, 152),
        },
    ),
    **_large("Pre-activation ResNet, arXiv:1603.05027", {"preact_resnet200": create_preact_resnet200}),
    **_small(
        "Wide ResNet, arXiv:1605.07146",
        {
            "cifar_wide_resnet28_10": partial(create_wide_resnet, 28, 10),
            "cifar_wide_resnet28_8": partial(create_wide_resnet, 28, 8),
        },
    ),
    **_large(
        "Wide ResNet, arXiv:1605.07146",
        {
            "wide_resnet18_1_5": partial(create_resnet, 18, width=1.5),
            "wide_resnet18_2": partial(create_resnet, 18, width=2.0),
        },
    ),
    **_small(
        "ResNeXt, arXiv:1611.05431",
        {
            "cifar_resnext29_2x64d": partial(CifarResNeXt, 2, 64, stem_size=1),
            "cifar_resnext29_32x4d": partial(CifarResNeXt, 32, 4, stem_size=1),
            "cifar_resnext29_8x64d": partial(CifarResNeXt, 8, 64),
        },
    ),
    **_large(
        "ResNeXt, arXiv:1611.05431",
        {
            "resnext50_32x4d": partial(create_resnet, 50, groups=32, group_width=4),
            "resnext101_32x4d": partial(create_resnet, 101, groups=32, group_width=4),
        },
    ),
    **_small(
        "DenseNet, arXiv:1608.06993",
        {
            "cifar_densenet100": DenseNet100,
            "cifar_densenet121": DenseNet121,
            "cifar_densenet201": DenseNet201,
        },
    ),
    **_small("DLA, arXiv:1707.06484", {"cifar_dla": CifarDLA, "cifar_simple_dla": partial(CifarDLA, simple=True)}),
    **_small("EfficientNet, arXiv:1905.11946", {"cifar_efficientnet_b0": partial(EfficientNetB0, small_images=True)}),
    **_large("EfficientNet, arXiv:1905.11946", {"efficientnet_b0": EfficientNetB0}),
    **_large("MobileNet, arXiv:1704.04861", {"mobilenet_v1": MobileNetV1}),
    **_small("MobileNetV2, arXiv:1801.04381", {"cifar_mobilenet_v2": CifarMobileNetV2}),
    **_large("MobileNetV2, arXiv:1801.04381", {"mobilenet_v2": MobileNetV2}),
    **_small("RegNet, arXiv:2003.13678", {"cifar_regnet_y_400mf": CifarRegNetY400MF}),
    **_small("SENet, arXiv:1709.01507", {"cifar_senet18": CifarSENet18}),
    **_small("ShuffleNetV2, arXiv:1807.11164", {"cifar_shufflenet_v2": partial(ShuffleNetV2, small_images=True)}),
    **_large("ShuffleNetV2, arXiv:1807.11164", {"shufflenet_v2_x1_0": ShuffleNetV2}),
    **_small("VGG, arXiv:1409.1556", {"cifar_vgg16": CifarVGG16}),
}

ATTENTIONS: dict[str, AttentionEntry] = {
    "a2": AttentionEntry(attach_double_attention, "A²-Nets, arXiv:1810.11579"),
    "aa": AttentionEntry(attach_attention_augmented, "Attention augmentation, arXiv:1904.09925"),
    "ba2m": AttentionEntry(attach_ba2m, "BA2M, arXiv:2103.15099", recipe="ba2m"),
    "bam": AttentionEntry(attach_bam, "BAM, arXiv:1807.06514"),
    "cbam": AttentionEntry(attach_cbam, "CBAM, arXiv:1807.06521"),
    "eca": AttentionEntry(attach_efficient_channel, "ECA-Net, arXiv:1910.03151"),
    "gc": AttentionEntry(attach_global_context, "GCNet, arXiv:1904.11492"),
    "ge": AttentionEntry(attach_gather_excite, "Gather-excite, arXiv:1810.12348"),
    "ge_theta": AttentionEntry(attach_gather_excite_theta, "Gather-excite, arXiv:1810.12348"),
    "nl": AttentionEntry(attach_non_local, "Non-local networks, arXiv:1711.07971"),
    "sasa": AttentionEntry(attach_stand_alone, "Stand-alone attention, arXiv:1906.05909"),
    "se": AttentionEntry(attach_squeeze_excitation, "SENet, arXiv:1709.01507"),
    "se_b": AttentionEntry(partial(attach_squeeze_excitation_gate, match=False), f"SE+ of {_SPANET}", recipe="spanet"),
    "se_c": AttentionEntry(partial(attach_squeeze_excitation_gate, match=True), f"SE++ of {_SPANET}", recipe="spanet"),
    "sge": AttentionEntry(attach_spatial_group_enhance, "SGE, arXiv:1905.09646"),
    "sk": AttentionEntry(attach_selective_kernel, "SKNet, arXiv:1903.06586"),
    "spa_a": AttentionEntry(attach_spatial_pyramid, _SPANET, recipe="spanet"),
    "spa_b": AttentionEntry(partial(attach_spatial_pyramid_gate, match=False), _SPANET, recipe="spanet"),
    "spa_c": AttentionEntry(partial(attach_spatial_pyramid_gate, match=True), _SPANET, recipe="spanet"),
    "srm": AttentionEntry(attach_style_recalibration, "SRM, arXiv:1903.10829"),
    "ulsam": AttentionEntry(attach_ulsam, "ULSAM, arXiv:2006.15102", recipe="ulsam"),
}

KINDS: dict[str, KindEntry] = {
    "deeplabv3": KindEntry(create_deeplabv3, "DeepLabv3, arXiv:1706.05587", targets="pixels", dilated=True),
    "faster_rcnn": KindEntry(create_faster_rcnn, "Faster R-CNN, arXiv:1506.01497"),
    "fcos": KindEntry(create_fcos, "FCOS, arXiv:1904.01355"),
    "mask_rcnn": KindEntry(create_mask_rcnn, "Mask R-CNN, arXiv:1703.06870", targets="masks"),
    "retinanet": KindEntry(create_retinanet, "RetinaNet, arXiv:1708.02002"),
}


def targets_of(name: str) -> TargetKind:
    """What a network is trained with, by its name.

    Args:
        name: The model's name, as `create_model` takes it.

    Example:
        >>> targets_of("resnet50+spa_a"), targets_of("retinanet:resnet50+spa_a"), targets_of("deeplabv3:resnet50")
        ('classes', 'boxes', 'pixels')
    """
    kind = KINDS.get(name.partition(":")[0])
    return kind.targets if kind else "classes"
