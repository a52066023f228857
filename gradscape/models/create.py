"""Models by name: `name@option=value+attention@option=value`, torchvision's and timm's, and anyone's own function."""

import fnmatch
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from gradscape._names import is_function_name, parse_options, unknown_name, working_directory_importable
from gradscape.models import foreign
from gradscape.models.backbones.resnets import ResNet, dilate
from gradscape.models.options import fit_options
from gradscape.models.printed import COMBINATIONS, DETECTORS
from gradscape.models.pyramid import find_levels
from gradscape.models.registry import ATTENTIONS, KINDS, MODELS
from gradscape.models.sites import Host, find_sites

__all__ = ["create_model", "list_models"]


def create_model(name: str, *, num_classes: int = 10, image_size: int = 32, **options: Any) -> nn.Module:
    """Build a model, freshly initialized from torch's global random state. It takes normalized images.

    Names: those of `list_models()`, where `resnet50` and the like are torchvision's, `cifar_resnet50` has a stem for
    small images and `resnet56` is He's for CIFAR; `torchvision:NAME`; `timm:NAME`; `package.module:function`, imported
    from the current directory too and called with `num_classes` and, where its signature has it, `image_size`. Options
    follow the name behind an `@`, as in `upanet16@cpa_shortcut=false,groups=2`. Attention is added behind a `+`, in the
    order given, with options of its own, as in `cifar_resnet50+bam+ba2m@stages=2:4`.

    Detectors and segmenters are named `faster_rcnn:`, `mask_rcnn:`, `retinanet:`, `fcos:` or `deeplabv3:` and a
    backbone for ImageNet, attention and options included, as in `retinanet:resnet50+spa_a`; see
    `gradscape.models.detection` and `gradscape.models.segmentation`.

    Args:
        name: The model's name.
        num_classes: Number of classes; detectors add the background themselves.
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
    kind, _, backbone = name.partition(":")
    if kind in KINDS:
        made = _create_backbone(kind, backbone, image_size=image_size, options=options)
        return KINDS[kind].build(made, num_classes=num_classes, image_size=image_size)
    return _create_network(name, num_classes=num_classes, image_size=image_size, options=options)


def _create_backbone(kind: str, name: str, *, image_size: int, options: dict[str, Any]) -> nn.Module:
    """A network for under a detector or segmenter; only its classifier, which goes, knows the number of classes."""

    def prepare(base: str, network: nn.Module) -> None:
        find_levels(network, image_size, name=base, strides=(8, 16, 32))
        if KINDS[kind].dilated and isinstance(network, ResNet):
            dilate(network)

    if (inner := name.partition(":")[0]) in KINDS:
        raise ValueError(f"the backbone of {kind} must be a network with stages, got a {inner}: {name}")
    return _create_network(name, num_classes=1, image_size=image_size, options=options, prepare=prepare)


def _create_network(
    name: str,
    *,
    num_classes: int,
    image_size: int,
    options: dict[str, Any],
    prepare: Callable[[str, nn.Module], None] | None = None,
) -> nn.Module:
    """A network with its attentions; `prepare` is shown it by name before they are added."""
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
    if prepare is not None:
        prepare(base, network)
    for attention, chosen in attentions:
        sites = find_sites(network, image_size)
        if not sites:
            raise ValueError(f"attention must be added to a network of gradscape with blocks for it; {base} has none")
        attach = ATTENTIONS[attention].attach
        attach(Host(network, sites, image_size), **fit_options(attention, attach, chosen))
    return network


def list_models(pattern: str = "*") -> list[str]:
    """Return names of models: gradscape's, with the attentions that the papers give them, and torchvision's, sorted.

    Any other attention can be added to a name, and options; detectors and segmenters take other backbones too.

    Args:
        pattern: A shell pattern that the whole name matches or one of the attentions in it: `upanet*`, `*_noshort`,
            `spa*`, `retinanet:*`.

    Example:
        >>> list_models("upanet16*")[:3]
        ['upanet16', 'upanet16_conv', 'upanet16_exc_gap']
    """
    names = {*MODELS, *foreign.torchvision_names(), *COMBINATIONS, *DETECTORS}
    return sorted(
        name for name in names if any(fnmatch.fnmatchcase(part, pattern) for part in (name, *name.split("+")[1:]))
    )


def _create_base(name: str, options: dict[str, Any], *, num_classes: int, image_size: int) -> nn.Module:
    if name in MODELS:
        build = MODELS[name].build
        sized = {"image_size": image_size} if "image_size" in inspect.signature(build).parameters else {}
        return build(num_classes=num_classes, **sized, **fit_options(name, build, options))
    shape = {"num_classes": num_classes, "image_size": image_size}
    kind, colon, foreign_name = name.rpartition(":")
    if kind == "timm":
        return foreign.create_timm(foreign_name, **shape, options=options)
    if kind == "torchvision" or (not colon and name in foreign.torchvision_names()):
        return foreign.create_torchvision(foreign_name, **shape, options=options)
    if foreign_name in MODELS and not _is_module(kind):
        raise unknown_name("kind", kind, KINDS)
    if is_function_name(name):
        return foreign.create_own(name, **shape, options=options)
    raise unknown_name("model", name, list_models())


def _is_module(name: str) -> bool:
    with working_directory_importable():
        return importlib.util.find_spec(name.partition(".")[0]) is not None


def _split_options(text: str) -> tuple[str, dict[str, Any]]:
    name, at, options = text.partition("@")
    return name, parse_options(options) if at else {}


def _check_positive(argument: str, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{argument}` must be a positive integer, got {value!r}")
