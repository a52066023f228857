"""What a model is and how large: measured, and as its paper prints it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from gradscape._left_as_before import process_left_as_before
from gradscape.models.counting import count_macs, count_parameters
from gradscape.models.create import create_model, list_models
from gradscape.models.options import list_options
from gradscape.models.own_scores import OWN_SCORES, OwnScore
from gradscape.models.printed import CELLS, COMBINATIONS, COUNTED, DETECTORS, TESTED_ON, PrintedCell
from gradscape.models.registry import ATTENTIONS, KINDS, MODELS

__all__ = ["ModelDescription", "create_weightless", "describe_models"]

_DETECTED = TESTED_ON["coco"]


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
        options: What may stand behind the `@` of its name and of its attentions, with the defaults.
        printed: The rows of tables about this model.
        measured: Our own trainings of it.
    """

    name: str
    paper: str
    num_classes: int
    image_size: int
    parameters: int
    macs: int
    options: Sequence[str]
    printed: Sequence[PrintedCell]
    measured: Sequence[OwnScore]


class _WithoutMemory(TorchFunctionMode):
    """Makes layers allocate their parameters on the meta device, and nothing else.

    `torch.device("meta")` would catch all tensors, also those that torchvision's RegNets compute their widths with.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return func(*args, **({**kwargs, "device": "meta"} if func is torch.empty else kwargs))


@process_left_as_before
def describe_models(pattern: str | None = None) -> list[ModelDescription]:
    """Measure models: as their papers' tables have them, else for 10 classes at 32 pixels or 1000 classes at 224.

    Args:
        pattern: A shell pattern, as `list_models` takes it, torchvision's models included; None means gradscape's own,
            with the attentions that the papers give them.
    """
    trained = {score.model for score in OWN_SCORES}
    names = sorted({*MODELS, *COMBINATIONS, *DETECTORS, *trained}) if pattern is None else list_models(pattern)
    return [_describe(name) for name in names]


def _describe(name: str) -> ModelDescription:
    printed = _printed_of(name)
    base, *attentions = (part.partition("@")[0] for part in name.split("+"))
    kind, _, backbone = base.rpartition(":")
    entry = MODELS.get(backbone if kind in KINDS else base)
    num_classes, image_size = (entry.num_classes, entry.image_size) if entry else (1000, 224)
    if kind in KINDS:
        num_classes, image_size = _DETECTED
    elif attentions and printed:
        num_classes, image_size = printed[0].num_classes, printed[0].image_size
    network = create_weightless(name, num_classes=num_classes, image_size=image_size)
    whole = [KINDS[kind].paper] if kind in KINDS else []
    papers = [
        *whole,
        entry.paper if entry else "torchvision",
        *(ATTENTIONS[attention].paper for attention in attentions),
    ]
    return ModelDescription(
        name=name,
        paper="; ".join(papers),
        num_classes=num_classes,
        image_size=image_size,
        parameters=count_parameters(network),
        macs=count_macs(network, image_size),
        options=_options(backbone if whole else base, attentions),
        printed=printed,
        measured=tuple(score for score in OWN_SCORES if score.model == name),
    )


def _printed_of(name: str) -> tuple[PrintedCell, ...]:
    """What papers print of a model and its size decides, each once however many tables repeat it, parameters first."""
    once: dict[tuple[str, ...], PrintedCell] = {}
    for cell in CELLS:
        of_model = (cell.model if "+" in name else cell.model.partition("@")[0]) == name
        if of_model and cell.quantity in COUNTED and cell.count is not None:
            once.setdefault((cell.paper, cell.model, cell.data, cell.quantity, cell.printed), cell)
    return tuple(sorted(once.values(), key=lambda cell: COUNTED.index(cell.quantity)))


def _options(base: str, attentions: Sequence[str]) -> tuple[str, ...]:
    own = [f"@{option}" for option in list_options(MODELS[base].build)] if base in MODELS else []
    added = [f"+{name}@{option}" for name in attentions for option in list_options(ATTENTIONS[name].attach)]
    return (*own, *added)


def create_weightless(name: str, *, num_classes: int, image_size: int) -> nn.Module:
    """Build a model on the meta device, to count what it has; torch's random state stays as it is.

    Args:
        name: As `create_model` takes it.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
    """
    with torch.random.fork_rng(devices=[]), _WithoutMemory():
        return create_model(name, num_classes=num_classes, image_size=image_size).to("meta")
