"""What a model is and how large: measured, and as its paper prints it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from gradscape.models.counting import count_macs, count_parameters
from gradscape.models.measured import MEASURED, MeasuredScore
from gradscape.models.printed import COMBINATIONS, PRINTED, PrintedSize
from gradscape.models.registry import IMAGENET_MODELS, MODELS, create_model, list_models

__all__ = ["ModelDescription", "describe_models"]

_PAPERS = {
    "attention": "Residual attention, arXiv:1704.06904; report on it",
    "cifar_densenet": "DenseNet, arXiv:1608.06993",
    "cifar_dla": "DLA, arXiv:1707.06484",
    "cifar_efficientnet": "EfficientNet, arXiv:1905.11946",
    "cifar_mobilenet_v2": "MobileNetV2, arXiv:1801.04381",
    "cifar_preact_resnet": "Pre-activation ResNet, arXiv:1603.05027",
    "cifar_regnet": "RegNet, arXiv:2003.13678",
    "cifar_resnet": "ResNet, arXiv:1512.03385",
    "cifar_resnext": "ResNeXt, arXiv:1611.05431",
    "cifar_senet": "SENet, arXiv:1709.01507",
    "cifar_shufflenet": "ShuffleNetV2, arXiv:1807.11164",
    "cifar_simple_dla": "DLA, arXiv:1707.06484",
    "cifar_vgg": "VGG, arXiv:1409.1556",
    "cifar_wide_resnet": "Wide ResNet, arXiv:1605.07146",
    "efficientnet": "EfficientNet, arXiv:1905.11946",
    "mobilenet_v1": "MobileNet, arXiv:1704.04861",
    "mobilenet_v2": "MobileNetV2, arXiv:1801.04381",
    "resnet": "ResNet, arXiv:1512.03385; variants: arXiv:1712.09913",
    "resnext": "ResNeXt, arXiv:1611.05431",
    "shufflenet": "ShuffleNetV2, arXiv:1807.11164",
    "upanet": "UPANets, arXiv:2103.08640",
    "wide_resnet": "Wide ResNet, arXiv:1605.07146",
}
_ATTENTION_PAPERS = {
    "a2": "A²-Nets, arXiv:1810.11579",
    "aa": "Attention augmentation, arXiv:1904.09925",
    "ba2m": "BA2M, arXiv:2103.15099",
    "bam": "BAM, arXiv:1807.06514",
    "cbam": "CBAM, arXiv:1807.06521",
    "eca": "ECA-Net, arXiv:1910.03151",
    "gc": "GCNet, arXiv:1904.11492",
    "ge": "Gather-excite, arXiv:1810.12348",
    "ge_theta": "Gather-excite, arXiv:1810.12348",
    "nl": "Non-local networks, arXiv:1711.07971",
    "sasa": "Stand-alone attention, arXiv:1906.05909",
    "se": "SENet, arXiv:1709.01507",
    "se_b": "SE+ of SPANet, doi:10.1109/TMM.2021.3068576",
    "se_c": "SE++ of SPANet, doi:10.1109/TMM.2021.3068576",
    "sge": "SGE, arXiv:1905.09646",
    "sk": "SKNet, arXiv:1903.06586",
    "spa_a": "SPANet, doi:10.1109/TMM.2021.3068576",
    "spa_b": "SPANet, doi:10.1109/TMM.2021.3068576",
    "spa_c": "SPANet, doi:10.1109/TMM.2021.3068576",
    "srm": "SRM, arXiv:1903.10829",
    "ulsam": "ULSAM, arXiv:2006.15102",
}


@dataclass(frozen=True)
class ModelDescription:
    """A model's size, measured, and what its paper prints.

    Attributes:
        name: The model's name.
        paper: Where the model comes from.
        num_classes: Number of classes of the network that was measured.
        image_size: Side of its images in pixels.
        parameters: Its parameters.
        macs: Its multiply-adds for one image, in convolution and linear layers.
        printed: The rows of tables about this model.
        measured: Our own trainings of it.
    """

    name: str
    paper: str
    num_classes: int
    image_size: int
    parameters: int
    macs: int
    printed: Sequence[PrintedSize]
    measured: Sequence[MeasuredScore]


class _WithoutMemory(TorchFunctionMode):
    """Makes layers allocate their parameters on the meta device, and nothing else.

    `torch.device("meta")` would catch all tensors, also those that torchvision's RegNets compute their widths with.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return func(*args, **({**kwargs, "device": "meta"} if func is torch.empty else kwargs))


def describe_models(pattern: str | None = None) -> list[ModelDescription]:
    """Measure models: as their papers' tables have them, else for 10 classes at 32 pixels or 1000 classes at 224.

    Args:
        pattern: A shell pattern, as `list_models` takes it, torchvision's models included; None means gradscape's own,
            with the attentions that the papers give them.
    """
    trained = {score.model for score in MEASURED}
    names = sorted({*MODELS, *COMBINATIONS, *trained}) if pattern is None else list_models(pattern)
    return [_describe(name) for name in names]


def _describe(name: str) -> ModelDescription:
    printed = tuple(row for row in PRINTED if (row.model if "+" in name else row.model.partition("@")[0]) == name)
    parts = [part.partition("@")[0] for part in name.split("+")]
    own = parts[0] in MODELS
    size = (10, 32) if own and parts[0] not in IMAGENET_MODELS else (1000, 224)
    num_classes, image_size = (printed[0].num_classes, printed[0].image_size) if len(parts) > 1 and printed else size
    network = create_weightless(name, num_classes=num_classes, image_size=image_size)
    papers = [max((key for key in _PAPERS if parts[0].startswith(key)), key=len)] if own else []
    return ModelDescription(
        name=name,
        paper="; ".join([*(_PAPERS[key] for key in papers), *(_ATTENTION_PAPERS[part] for part in parts[1:])])
        or "torchvision",
        num_classes=num_classes,
        image_size=image_size,
        parameters=count_parameters(network),
        macs=count_macs(network, image_size),
        printed=printed,
        measured=tuple(score for score in MEASURED if score.model == name),
    )


def create_weightless(name: str, *, num_classes: int, image_size: int) -> nn.Module:
    """Build a model on the meta device, to count what it has; torch's random state stays as it is.

    Args:
        name: As `create_model` takes it.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
    """
    with torch.random.fork_rng(devices=[]), _WithoutMemory():
        return create_model(name, num_classes=num_classes, image_size=image_size).to("meta")
