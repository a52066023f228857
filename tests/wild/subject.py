"""A stranger's network with what its owner would give to gradscape beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.wild.places import Places

__all__ = ["CLASSES", "IMAGES", "Subject", "built", "class_labels", "cross_entropy", "pictures", "ready"]

CLASSES = 5
IMAGES = 2
_SETTLING = 6  # images that running statistics come from
_LIVELY = 0.1  # standard deviation of what is added to parameters that are the same everywhere

Loss = Callable[[Any, Any], Tensor]


def cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    """One number an image."""
    return F.cross_entropy(output, labels, reduction="none")


def _plain_loss(_: nn.Module) -> Loss:
    return cross_entropy


def class_labels(count: int) -> Tensor:
    """A class for each image."""
    return torch.arange(1, count + 1) % CLASSES


def pictures(*size: int) -> Callable[[int], Tensor]:
    """Gives so many random images in [0, 1], (count, *size), always the same ones."""
    return lambda count: torch.rand(count, *size, generator=torch.Generator().manual_seed(count))


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """A network, and how its owner would call gradscape.

    Attributes:
        name: As its library spells it.
        family: The library's module that it comes from.
        build: Makes it; called under a fixed seed.
        inputs: Gives so many inputs.
        labels: Gives so many labels.
        loss: From the network to its loss (output, labels) -> (N,): some losses ask the network itself.
        metric: As gradscape takes it; "default" for its own.
        forward: (model, inputs) -> output, or None where the network is called as it is.
        score: From the output to (N,), or None where a class is explained.
        places: Where the places of its features are; None where it is not known, or there are none.
        images: How many of them the landscapes are of.
        points: Of each axis of a surface that is also evaluated by the traced network, and compared at four of them; 2
            for the four alone.
        classifier: Whether its library calls it a classifier.
    """

    name: str
    family: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], Any]
    labels: Callable[[int], Any] = class_labels
    loss: Callable[[nn.Module], Loss] = _plain_loss
    metric: Any = "default"
    forward: Callable[[nn.Module, Any], Any] | None = None
    score: Callable[[Any], Tensor] | None = None
    places: Places | None = None
    images: int = IMAGES
    points: int = 2
    classifier: bool = True

    def output(self, model: nn.Module, inputs: Any) -> Any:
        """What the network gives."""
        return model(inputs) if self.forward is None else self.forward(model, inputs)


def built(subject: Subject) -> nn.Module:
    """The network fresh from its library, always the same to the bit."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return subject.build()


def ready(subject: Subject) -> nn.Module:
    """The network in train mode with something to see in it: what starts as a constant varies, statistics are settled.

    Fresh networks hide much: blocks whose last scale is 0 or 1e-6, position biases that are 0, heads that are 0.
    """
    model = built(subject)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if (
                parameter.is_floating_point()
                and parameter.numel() > 1
                and bool((parameter == parameter.flatten()[0]).all())
            ):
                parameter.add_(_LIVELY * torch.randn(parameter.shape, generator=generator))
    _settle(model, subject)
    return model.train()


def _settle(model: nn.Module, subject: Subject) -> None:
    """Running statistics become those of a batch: with fresh ones a deep network's outputs explode."""
    norms = [one for one in model.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm) and one.momentum]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad(), torch.random.fork_rng():
        subject.output(model, subject.inputs(_SETTLING))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
