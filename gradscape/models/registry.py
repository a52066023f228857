"""Models by name: `name@option=value`, torchvision's and timm's, and anyone's own function."""

import fnmatch
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_args

from torch import nn

from gradscape._names import is_function_name, parse_options, unknown_name
from gradscape.models import foreign
from gradscape.models.cifar_densenet import DenseNet121
from gradscape.models.cifar_resnets import CifarResNet
from gradscape.models.upanets import UPANet

__all__ = ["MODELS", "create_model", "list_models"]

MODELS: dict[str, Callable[..., nn.Module]] = {
    "cifar_densenet121": DenseNet121,
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
}


def create_model(name: str, *, num_classes: int = 10, image_size: int = 32, **options: Any) -> nn.Module:
    """Build a model, freshly initialized from torch's global random state. It takes normalized images.

    Names: those of `list_models()`, where `resnet50` and the like are torchvision's and `resnet56` is He's for CIFAR;
    `torchvision:NAME`; `timm:NAME`; `package.module:function`, imported from the current directory too and called with
    `num_classes` and, where its signature has it, `image_size`. Options follow any of them, as in
    `upanet16@cpa_shortcut=false,groups=2`.

    Args:
        name: The model's name.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
        **options: The model's own options, as if they stood behind the `@`.

    Raises:
        ValueError: If the name, an option or a value is unknown or out of range.
        TypeError: If `package.module:function` is no function or does not return a model.
    """
    _check_positive("num_classes", num_classes)
    _check_positive("image_size", image_size)
    base, at, text = name.partition("@")
    if at:
        options = {**parse_options(text), **options}
    for argument in ("num_classes", "image_size"):
        if argument in options:
            raise ValueError(f"`{argument}` is no option of a model's name; give it beside the name, not in {name!r}")
    if base in MODELS:
        constructor = MODELS[base]
        _check_options(base, constructor, options)
        sized = {"image_size": image_size} if "image_size" in inspect.signature(constructor).parameters else {}
        return constructor(num_classes=num_classes, **sized, **options)
    kind, colon, foreign_name = base.rpartition(":")
    if kind == "timm":
        return foreign.create_timm(foreign_name, num_classes=num_classes, image_size=image_size, options=options)
    if kind == "torchvision" or (not colon and base in foreign.torchvision_names()):
        return foreign.create_torchvision(foreign_name, num_classes=num_classes, image_size=image_size, options=options)
    if is_function_name(base):
        return foreign.create_own(base, num_classes=num_classes, image_size=image_size, options=options)
    raise unknown_name("model", base, list_models())


def list_models(pattern: str = "*") -> list[str]:
    """Return the names of gradscape's models and torchvision's that match a shell pattern, sorted.

    Args:
        pattern: For example `upanet*` or `*_noshort`.
    """
    return sorted(fnmatch.filter({*MODELS, *foreign.torchvision_names()}, pattern))


def _check_positive(argument: str, value: object) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"`{argument}` must be a positive integer, got {value!r}")


def _check_options(name: str, constructor: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    bound = constructor.keywords if isinstance(constructor, partial) else {}
    known = {
        key: parameter
        for key, parameter in inspect.signature(constructor).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and key not in {"num_classes", "image_size", *bound}
    }
    for key, value in options.items():
        if key not in known:
            takes = ", ".join(f"{other}={_spelled(parameter.default)}" for other, parameter in known.items()) or "none"
            raise ValueError(f"{name} has no option `{key}`; it takes {takes}")
        choices, default = get_args(known[key].annotation), known[key].default
        if choices and value not in choices:
            raise ValueError(f"option `{key}` of {name} must be one of {', '.join(choices)}; got {_spelled(value)}")
        if type(value) is not type(default):
            raise ValueError(f"option `{key}` of {name} must be like {_spelled(default)}, got {_spelled(value)}")


def _spelled(value: object) -> str:
    """As it stands behind the `@`."""
    return str(value).lower() if isinstance(value, bool) else str(value)
