"""Models by name: `name@option=value+attention@option=value`, torchvision's and timm's, and anyone's own function."""

import fnmatch
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from gradscape._names import is_function_name, parse_options, unknown_name
from gradscape.models import foreign
from gradscape.models.attention import ATTENTIONS
from gradscape.models.backbones.cifar_resnets import CifarResNet
from gradscape.models.backbones.densenet import CifarDenseNet
from gradscape.models.backbones.dla import CifarDLA
from gradscape.models.backbones.efficientnet import EfficientNetB0
from gradscape.models.backbones.mobilenet_v1 import MobileNetV1
from gradscape.models.backbones.mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from gradscape.models.backbones.preact_resnets import create_preact_resnet, create_preact_resnet110
from gradscape.models.backbones.regnet import CifarRegNetY400MF
from gradscape.models.backbones.resnets import create_resnet
from gradscape.models.backbones.resnexts import CifarResNeXt
from gradscape.models.backbones.senet import CifarSENet18
from gradscape.models.backbones.shufflenet_v2 import ShuffleNetV2
from gradscape.models.backbones.vgg import CifarVGG16
from gradscape.models.backbones.wide_resnets import create_wide_resnet
from gradscape.models.options import fit_options
from gradscape.models.printed import COMBINATIONS
from gradscape.models.residual_attention import ResidualAttentionNetwork
from gradscape.models.residual_attention_imagenet import ResidualAttentionImageNet
from gradscape.models.sites import find_sites
from gradscape.models.upanets import UPANet

__all__ = ["IMAGENET_MODELS", "MODELS", "create_model", "list_models"]

MODELS: dict[str, Callable[..., nn.Module]] = {
    "attention128": partial(ResidualAttentionNetwork, 128),
    "attention164": partial(ResidualAttentionNetwork, 164),
    "attention56": partial(ResidualAttentionNetwork, 56),
    "attention56_as_reported": partial(ResidualAttentionNetwork, 56, as_reported=True),
    "attention56_imagenet": partial(ResidualAttentionImageNet, 56),
    "attention92": partial(ResidualAttentionNetwork, 92),
    "attention92_as_reported": partial(ResidualAttentionNetwork, 92, as_reported=True),
    "attention92_imagenet": partial(ResidualAttentionImageNet, 92),
    "cifar_densenet100": partial(CifarDenseNet, (16, 16, 16), growth_rate=12),
    "cifar_densenet121": partial(CifarDenseNet, (6, 12, 24, 16)),
    "cifar_densenet201": partial(CifarDenseNet, (6, 12, 48, 32)),
    "cifar_dla": CifarDLA,
    "cifar_efficientnet_b0": partial(EfficientNetB0, small_images=True),
    "cifar_mobilenet_v2": CifarMobileNetV2,
    "cifar_preact_resnet101": partial(create_preact_resnet, 101),
    "cifar_preact_resnet110": create_preact_resnet110,
    "cifar_preact_resnet152": partial(create_preact_resnet, 152),
    "cifar_preact_resnet18": partial(create_preact_resnet, 18),
    "cifar_preact_resnet34": partial(create_preact_resnet, 34),
    "cifar_preact_resnet50": partial(create_preact_resnet, 50),
    "cifar_regnet_y_400mf": CifarRegNetY400MF,
    "cifar_resnet101": partial(create_resnet, 101, small_images=True),
    "cifar_resnet152": partial(create_resnet, 152, small_images=True),
    "cifar_resnet18": partial(create_resnet, 18, small_images=True),
    "cifar_resnet34": partial(create_resnet, 34, small_images=True),
    "cifar_resnet50": partial(create_resnet, 50, small_images=True),
    "cifar_resnext29_2x64d": partial(CifarResNeXt, 2, 64, stem_size=1),
    "cifar_resnext29_32x4d": partial(CifarResNeXt, 32, 4, stem_size=1),
    "cifar_resnext29_8x64d": partial(CifarResNeXt, 8, 64),
    "cifar_senet18": CifarSENet18,
    "cifar_shufflenet_v2": partial(ShuffleNetV2, small_images=True),
    "cifar_simple_dla": partial(CifarDLA, simple=True),
    "cifar_vgg16": CifarVGG16,
    "cifar_wide_resnet28_10": partial(create_wide_resnet, 28, 10),
    "cifar_wide_resnet28_8": partial(create_wide_resnet, 28, 8),
    "efficientnet_b0": EfficientNetB0,
    "mobilenet_v1": MobileNetV1,
    "mobilenet_v2": MobileNetV2,
    "resnet101": partial(create_resnet, 101),
    "resnet110": partial(CifarResNet, 110),
    "resnet110_noshort": partial(CifarResNet, 110, shortcut="none"),
    "resnet110_projection": partial(CifarResNet, 110, shortcut="projection"),
    "resnet152": partial(create_resnet, 152),
    "resnet18": partial(create_resnet, 18),
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
    "resnet34": partial(create_resnet, 34),
    "resnet50": partial(create_resnet, 50),
    "resnext101_32x4d": partial(create_resnet, 101, groups=32, group_width=4),
    "resnext50_32x4d": partial(create_resnet, 50, groups=32, group_width=4),
    "shufflenet_v2_x1_0": ShuffleNetV2,
    "upanet16": partial(UPANet, 16),
    "upanet16_conv": partial(UPANet, 16, attention="conv"),
    "upanet16_exc_gap": partial(UPANet, 16, pooling="exc_gap"),
    "upanet16_exc_spa": partial(UPANet, 16, pooling="exc_spa"),
    "upanet16_final_gap": partial(UPANet, 16, pooling="final_gap"),
    "upanet16_final_spa": partial(UPANet, 16, pooling="final_spa"),
    "upanet16_no_cpa": partial(UPANet, 16, attention="none"),
    "upanet16_slim": partial(UPANet, 16, width=1),
    "upanet32": partial(UPANet, 32),
    "upanet32_conv": partial(UPANet, 32, attention="conv"),
    "upanet32_exc_gap": partial(UPANet, 32, pooling="exc_gap"),
    "upanet32_exc_spa": partial(UPANet, 32, pooling="exc_spa"),
    "upanet32_final_gap": partial(UPANet, 32, pooling="final_gap"),
    "upanet32_final_spa": partial(UPANet, 32, pooling="final_spa"),
    "upanet32_no_cpa": partial(UPANet, 32, attention="none"),
    "upanet32_slim": partial(UPANet, 32, width=1),
    "upanet64": partial(UPANet, 64),
    "upanet64_conv": partial(UPANet, 64, attention="conv"),
    "upanet64_exc_gap": partial(UPANet, 64, pooling="exc_gap"),
    "upanet64_exc_spa": partial(UPANet, 64, pooling="exc_spa"),
    "upanet64_final_gap": partial(UPANet, 64, pooling="final_gap"),
    "upanet64_final_spa": partial(UPANet, 64, pooling="final_spa"),
    "upanet64_no_cpa": partial(UPANet, 64, attention="none"),
    "upanet64_slim": partial(UPANet, 64, width=1),
    "wide_resnet18_1_5": partial(create_resnet, 18, width=1.5),
    "wide_resnet18_2": partial(create_resnet, 18, width=2.0),
}


IMAGENET_MODELS = frozenset(
    {
        "attention56_imagenet",
        "attention92_imagenet",
        "efficientnet_b0",
        "mobilenet_v1",
        "mobilenet_v2",
        "resnet101",
        "resnet152",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnext101_32x4d",
        "resnext50_32x4d",
        "shufflenet_v2_x1_0",
        "wide_resnet18_1_5",
        "wide_resnet18_2",
    }
)
"""Those made for images of 224 pixels: their stems reduce the image to a quarter or half."""


def create_model(name: str, *, num_classes: int = 10, image_size: int = 32, **options: Any) -> nn.Module:
    """Build a model, freshly initialized from torch's global random state. It takes normalized images.

    Names: those of `list_models()`, where `resnet50` and the like are torchvision's, `cifar_resnet50` has a stem for
    small images and `resnet56` is He's for CIFAR; `torchvision:NAME`; `timm:NAME`; `package.module:function`, imported
    from the current directory too and called with `num_classes` and, where its signature has it, `image_size`. Options
    follow the name behind an `@`, as in `upanet16@cpa_shortcut=false,groups=2`. Attention is added behind a `+`, in the
    order given, with options of its own, as in `cifar_resnet50+bam+ba2m@stages=2:4`.

    Args:
        name: The model's name.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
        **options: The model's own options, as if they stood behind the first `@`.

    Raises:
        ValueError: If the name, an option or a value is unknown or out of range.
        TypeError: If `package.module:function` is no function or does not return a model.

    Example:
        >>> net = create_model("resnet20", num_classes=10)
        >>> sum(parameter.numel() for parameter in net.parameters())
        269722
        >>> attended = create_model("resnet20+se@reduction=4", num_classes=10)
    """
    _check_positive("num_classes", num_classes)
    _check_positive("image_size", image_size)
    first, *rest = name.split("+")
    base, in_name = _split_options(first)
    attentions = [_split_options(part) for part in rest]
    for attention, _ in attentions:
        if attention not in ATTENTIONS:
            raise unknown_name("attention", attention, ATTENTIONS)
    for argument in ("num_classes", "image_size"):
        if argument in in_name:
            raise ValueError(f"`{argument}` is no option of a model's name; give it beside the name, not in {name!r}")
    network = _create_base(base, {**in_name, **options}, num_classes=num_classes, image_size=image_size)
    for attention, chosen in attentions:
        sites = find_sites(network, image_size)
        if not sites:
            raise ValueError(f"attention must be added to a network of gradscape with blocks for it; {base} has none")
        ATTENTIONS[attention](network, sites, image_size, **fit_options(attention, ATTENTIONS[attention], chosen))
    return network


def list_models(pattern: str = "*") -> list[str]:
    """Return names of models: gradscape's, with the attentions that the papers give them, and torchvision's, sorted.

    Any other attention can be added to a name, and options.

    Args:
        pattern: A shell pattern that the whole name matches or one of the attentions in it: `upanet*`, `*_noshort`,
            `spa*`.

    Example:
        >>> list_models("upanet16*")[:3]
        ['upanet16', 'upanet16_conv', 'upanet16_exc_gap']
    """
    names = {*MODELS, *foreign.torchvision_names(), *COMBINATIONS}
    return sorted(
        name for name in names if any(fnmatch.fnmatchcase(part, pattern) for part in (name, *name.split("+")[1:]))
    )


def _create_base(name: str, options: dict[str, Any], *, num_classes: int, image_size: int) -> nn.Module:
    if name in MODELS:
        constructor = MODELS[name]
        sized = {"image_size": image_size} if "image_size" in inspect.signature(constructor).parameters else {}
        return constructor(num_classes=num_classes, **sized, **fit_options(name, constructor, options))
    shape = {"num_classes": num_classes, "image_size": image_size}
    kind, colon, foreign_name = name.rpartition(":")
    if kind == "timm":
        return foreign.create_timm(foreign_name, **shape, options=options)
    if kind == "torchvision" or (not colon and name in foreign.torchvision_names()):
        return foreign.create_torchvision(foreign_name, **shape, options=options)
    if is_function_name(name):
        return foreign.create_own(name, **shape, options=options)
    raise unknown_name("model", name, list_models())


def _split_options(text: str) -> tuple[str, dict[str, Any]]:
    name, at, options = text.partition("@")
    return name, parse_options(options) if at else {}


def _check_positive(argument: str, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{argument}` must be a positive integer, got {value!r}")
