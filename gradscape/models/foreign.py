"""Models of torchvision, of timm, and of the user's own modules."""

import inspect
from functools import cache, partial
from typing import Any

import torchvision
from torch import nn

from gradscape._names import error_line, load_function, unknown_name, working_directory_importable

__all__ = ["create_own", "create_timm", "create_torchvision", "torchvision_names"]


@cache
def torchvision_names() -> tuple[str, ...]:
    """Return the names of torchvision's classifiers."""
    return tuple(torchvision.models.list_models(module=torchvision.models))


def create_torchvision(name: str, *, num_classes: int, image_size: int, options: dict[str, Any]) -> nn.Module:
    """Build a classifier of torchvision without trained weights.

    Args:
        name: As torchvision spells it.
        num_classes: Number of classes.
        image_size: Side of the images in pixels, which the transformers need to know.
        options: Further arguments of torchvision's builder.

    Raises:
        ValueError: If torchvision has no such classifier or it does not take an option.
    """
    if name not in torchvision_names():
        raise unknown_name("torchvision model", name, torchvision_names())
    _refuse_weights(name, options)
    sized: dict[str, Any] = {}
    if name.startswith("vit_"):
        sized = {"image_size": image_size}
    elif name.startswith("maxvit_"):
        sized = {"input_size": (image_size, image_size)}
    elif name in ("googlenet", "inception_v3"):
        sized = {"init_weights": True}  # their warning asks to choose
    builder = torchvision.models.get_model_builder(name)
    return _call(name, builder, {"num_classes": num_classes, **sized, **options})


def create_timm(name: str, *, num_classes: int, image_size: int, options: dict[str, Any]) -> nn.Module:
    """Build a classifier of timm without trained weights.

    Args:
        name: As timm spells it.
        num_classes: Number of classes.
        image_size: Side of the images in pixels, which some of its models need to know.
        options: Further arguments of timm's builder.

    Raises:
        ValueError: If timm has no such model or it does not take an option.
    """
    import timm  # costs a second that nobody else should pay

    if not timm.is_model(name):
        raise unknown_name("timm model", name, timm.list_models())
    _refuse_weights(name, options)
    arguments = {"pretrained": False, "num_classes": num_classes, **options}
    try:
        return timm.create_model(name, img_size=image_size, **arguments)
    except TypeError as error:
        if "img_size" not in str(error):
            raise ValueError(f"{name} cannot be built so: {error_line(error)}") from error
    return _call(name, partial(timm.create_model, name), arguments)


def create_own(name: str, *, num_classes: int, image_size: int, options: dict[str, Any]) -> nn.Module:
    """Build a model with a function of the user's, which importing and calling executes.

    Args:
        name: `package.module:function`.
        num_classes: Given to the function.
        image_size: Side of the images in pixels, given to the function where its signature has it.
        options: Further keyword arguments of the function.

    Raises:
        ValueError: If the function cannot be found or does not take an option.
        TypeError: If it is no function or does not return a model.
    """
    function = load_function("model", name)
    parameters = inspect.signature(function).parameters
    arguments = {"num_classes": num_classes, **options}
    if "image_size" in parameters:
        arguments["image_size"] = image_size
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        takes = ", ".join(parameters) or "nothing"
        raise ValueError(f"{name} must take num_classes and the options given: {error}; it takes {takes}") from error
    with working_directory_importable():
        model = function(**arguments)
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} must return a torch.nn.Module, got {type(model).__name__}")
    return model


def _refuse_weights(name: str, options: dict[str, Any]) -> None:
    for key in ("weights", "pretrained"):
        if key in options:
            raise ValueError(f"{name} takes no option `{key}`; bring trained weights in with `gradscape import`")


def _call(name: str, builder: Any, arguments: dict[str, Any]) -> nn.Module:
    try:
        return builder(**arguments)
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(f"{name} cannot be built so: {error_line(error)}") from error
