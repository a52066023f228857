"""What the papers print about their models, what ours have, and where a paper contradicts itself."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from gradscape.models.counting import count_macs, count_parameters
from gradscape.models.registry import MODELS, create_model, list_models

__all__ = ["PRINTED", "ModelDescription", "PrintedSize", "describe_models"]

Verdict = Literal["hit", "miss", "contradiction"]


@dataclass(frozen=True)
class PrintedSize:
    """One row of a paper's table.

    Attributes:
        name: The model, with the options that give the printed size if it needs any.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
        millions: Printed parameters in millions, as many decimals as printed.
        where: Paper and table.
        accuracy: Printed accuracy in percent, None where the row has no efficiency.
        efficiency: Printed accuracy in percent per million parameters.
        verdict: "hit": the model has the printed size, and the efficiency if there is one. "contradiction": it has the
            size, but the efficiency of the same row belongs to another number of parameters. "miss": no version of the
            model has the size.
        reason: What is behind a verdict that is not a hit.
    """

    name: str
    num_classes: int
    image_size: int
    millions: str
    _: KW_ONLY
    where: str
    accuracy: float | None = None
    efficiency: float | None = None
    verdict: Verdict = "hit"
    reason: str = ""


_MIXED = "size without the attention's shortcut branch, efficiency of the network with it"
_NEITHER = "no version of the network has this size"
_EFFICIENCY = "the efficiency implies a size that no version of the network has"
_SWAPPED = "the efficiency implies 1.50 million, the size printed in the row below"

PRINTED: tuple[PrintedSize, ...] = (
    PrintedSize(
        "upanet16@cpa_shortcut=false",
        10,
        32,
        "1.49",
        where="UPANets, table 4",
        accuracy=95.32,
        efficiency=63.03,
        verdict="contradiction",
        reason=_MIXED,
    ),
    PrintedSize(
        "upanet32@cpa_shortcut=false",
        10,
        32,
        "5.93",
        where="UPANets, table 4",
        accuracy=95.88,
        efficiency=15.93,
        verdict="contradiction",
        reason=_MIXED,
    ),
    PrintedSize(
        "upanet64",
        10,
        32,
        "23.60",
        where="UPANets, table 4",
        accuracy=96.47,
        efficiency=4.09,
        verdict="miss",
        reason=_NEITHER,
    ),
    PrintedSize(
        "upanet16",
        100,
        32,
        "1.56",
        where="UPANets, table 5",
        accuracy=76.73,
        efficiency=49.05,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet32@cpa_shortcut=false",
        100,
        32,
        "6.02",
        where="UPANets, table 5",
        accuracy=78.78,
        efficiency=12.9,
        verdict="contradiction",
        reason=_MIXED,
    ),
    PrintedSize(
        "upanet64@cpa_shortcut=false", 100, 32, "23.84", where="UPANets, table 5", accuracy=80.29, efficiency=3.37
    ),
    PrintedSize("upanet64", 200, 64, "24.40", where="UPANets, table 6", accuracy=67.67, efficiency=2.77),
    PrintedSize(
        "upanet16_final_gap@cpa_shortcut=false",
        10,
        32,
        "1.48",
        where="UPANets, table 2",
        accuracy=94.66,
        efficiency=63.95,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_final_gap",
        100,
        32,
        "1.53",
        where="UPANets, table 2",
        accuracy=74.63,
        efficiency=49.65,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_final_spa@cpa_shortcut=false",
        10,
        32,
        "1.48",
        where="UPANets, table 2",
        accuracy=94.7,
        efficiency=63.98,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_final_spa",
        100,
        32,
        "1.50",
        where="UPANets, table 2",
        accuracy=74.72,
        efficiency=49.71,
        verdict="miss",
        reason=_NEITHER,
    ),
    PrintedSize(
        "upanet16_exc_gap",
        10,
        32,
        "1.48",
        where="UPANets, table 2",
        accuracy=94.75,
        efficiency=63.89,
        verdict="miss",
        reason=_NEITHER,
    ),
    PrintedSize(
        "upanet16_exc_gap@cpa_shortcut=false",
        100,
        32,
        "1.53",
        where="UPANets, table 2",
        accuracy=74.6,
        efficiency=48.83,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_exc_spa@cpa_shortcut=false",
        10,
        32,
        "1.49",
        where="UPANets, table 2",
        accuracy=94.58,
        efficiency=63.68,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_exc_spa@cpa_shortcut=false",
        100,
        32,
        "1.53",
        where="UPANets, table 2",
        accuracy=75.09,
        efficiency=49.08,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16",
        10,
        32,
        "1.48",
        where="UPANets, table 2",
        accuracy=94.9,
        efficiency=63.89,
        verdict="miss",
        reason=_NEITHER,
    ),
    PrintedSize(
        "upanet16@cpa_shortcut=false",
        100,
        32,
        "1.53",
        where="UPANets, table 2",
        accuracy=75.15,
        efficiency=49.11,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_conv",
        10,
        32,
        "1.48",
        where="UPANets, table 7",
        accuracy=94.76,
        efficiency=63.81,
        verdict="miss",
        reason=_NEITHER,
    ),
    PrintedSize(
        "upanet16_conv@cpa_shortcut=false",
        100,
        32,
        "1.53",
        where="UPANets, table 7",
        accuracy=74.85,
        efficiency=48.93,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "upanet16_slim",
        10,
        32,
        "0.77",
        where="UPANets, table 8",
        accuracy=94.05,
        efficiency=121.47,
        verdict="miss",
        reason=_NEITHER,
    ),
    PrintedSize(
        "upanet16_slim@cpa_shortcut=false",
        100,
        32,
        "0.82",
        where="UPANets, table 8",
        accuracy=73.46,
        efficiency=89.71,
        verdict="contradiction",
        reason=_EFFICIENCY,
    ),
    PrintedSize(
        "cifar_densenet121@growth_rate=16", 10, 32, "1.76", where="UPANets, table 4", accuracy=94.81, efficiency=53.78
    ),
    PrintedSize(
        "cifar_densenet121@growth_rate=16", 100, 32, "1.81", where="UPANets, table 5", accuracy=77.35, efficiency=42.76
    ),
    PrintedSize("resnet20", 10, 32, "0.27", where="ResNet, table 6"),
    PrintedSize("resnet32", 10, 32, "0.46", where="ResNet, table 6"),
    PrintedSize("resnet44", 10, 32, "0.66", where="ResNet, table 6"),
    PrintedSize("resnet56", 10, 32, "0.85", where="ResNet, table 6"),
    PrintedSize("resnet110", 10, 32, "1.7", where="ResNet, table 6"),
)

_PAPERS = {
    "cifar_densenet": "DenseNet, arXiv:1608.06993",
    "resnet": "ResNet, arXiv:1512.03385; variants: arXiv:1712.09913",
    "upanet": "UPANets, arXiv:2103.08640",
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
    """

    name: str
    paper: str
    num_classes: int
    image_size: int
    parameters: int
    macs: int
    printed: Sequence[PrintedSize]


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
    """Measure models: gradscape's own for 10 classes at 32 pixels, torchvision's for 1000 classes at 224.

    Args:
        pattern: A shell pattern, as `list_models` takes it, torchvision's models included; None means gradscape's own,
            since measuring all of torchvision's takes many seconds.
    """
    return [_describe(name) for name in (sorted(MODELS) if pattern is None else list_models(pattern))]


def _describe(name: str) -> ModelDescription:
    own = name in MODELS
    num_classes, image_size = (10, 32) if own else (1000, 224)
    network = _weightless(name, num_classes=num_classes, image_size=image_size)
    return ModelDescription(
        name=name,
        paper=next(paper for prefix, paper in _PAPERS.items() if name.startswith(prefix)) if own else "torchvision",
        num_classes=num_classes,
        image_size=image_size,
        parameters=count_parameters(network),
        macs=count_macs(network, image_size),
        printed=tuple(row for row in PRINTED if row.name.partition("@")[0] == name),
    )


def _weightless(name: str, *, num_classes: int, image_size: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]), _WithoutMemory():
        return create_model(name, num_classes=num_classes, image_size=image_size).to("meta")
