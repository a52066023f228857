"""Twelve small networks as strangers write them, each with something that a tool could overlook."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.wild.places import CHANNELS_FIRST
from tests.wild.subject import CLASSES, Subject, cross_entropy, pictures

__all__ = ["OWN"]

_IMAGES, _POINTS = 32, 15  # enough for the engine to trace the network, where it can
_SIZE = (12, 20)


class _Convolutional(nn.Module):
    """Two convolutions, averages, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, CLASSES)

    def features(self, images: Tensor) -> Tensor:
        """Maps of half the size."""
        return self.second(self.first(images).relu()).relu()

    def forward(self, images: Tensor) -> Any:
        """Logits."""
        return self.head(self.features(images).mean((2, 3)))


class _DictIn(nn.Module):
    """Pictures and their masks, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.network = _Convolutional()

    def forward(self, given: dict[str, Tensor]) -> Tensor:
        """Logits of what the masks leave."""
        return self.network(given["images"] * given["masks"])


class _TupleOut(_Convolutional):
    """Logits, nothing, and what they were made from."""

    def forward(self, images: Tensor) -> tuple[Tensor, None, Tensor]:
        """Three things, of which one is none."""
        features = self.features(images)
        return self.head(features.mean((2, 3))), None, features


class _Tied(nn.Module):
    """Words are read and written with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.mix = nn.Embedding(CLASSES, 9), nn.Linear(9, 9)
        self.write = nn.Linear(9, CLASSES, bias=False)
        self.write.weight = self.read.weight

    def forward(self, words: Tensor) -> Tensor:
        """Logits of the next word."""
        return self.write(self.mix(self.read(words)).tanh().mean(1))


class _Recurrent(nn.Module):
    """An LSTM of two layers over rows of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.LSTM(3 * _SIZE[1], 10, num_layers=2, batch_first=True), nn.Linear(10, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits from the state after the last row."""
        return self.head(self.recurrent(images.movedim(2, 1).flatten(2))[0][:, -1])


class _Physical(nn.Module):
    """u(x), of which the loss asks that u'' = −u."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(1, 12), nn.Linear(12, 1)

    def forward(self, places: Tensor) -> Tensor:
        """u at the places (N, 1)."""
        return self.outer(self.inner(places).tanh())


def _residual(model: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    def loss(output: Tensor, labels: Tensor) -> Tensor:
        with torch.enable_grad():
            places = labels.detach().clone().requires_grad_()
            value = model(places)
            (slope,) = torch.autograd.grad(value.sum(), places, create_graph=True)
            (bend,) = torch.autograd.grad(slope.sum(), places)
        return ((bend + output).square() + (output - labels.sin()).square())[:, 0].detach()

    return loss


class _Segmenting(nn.Module):
    """Down and up again, with a way around."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.low = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.up, self.head = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.Conv2d(7, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of each pixel."""
        return self.head(torch.cat([self.up(self.low(self.down(images).relu()).relu()), images], 1))


class _Detecting(nn.Module):
    """A box and a class at each of 15 places, as a list with a dict for each picture."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone, self.boxes = nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, 4, 1)
        self.classes = nn.Conv2d(8, CLASSES, 1)

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        """For each picture boxes (15, 4) and scores (15, classes)."""
        features = self.backbone(images).relu()
        boxes, scores = self.boxes(features).flatten(2).mT, self.classes(features).flatten(2).mT.sigmoid()
        return [{"boxes": one, "scores": other} for one, other in zip(boxes, scores, strict=True)]


def _detection(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    def loss(output: list[dict[str, Tensor]], labels: Tensor) -> Tensor:
        pairs = zip(output, labels, strict=True)
        return torch.stack(
            [one["boxes"].square().mean() - one["scores"][:, label].log().mean() for one, label in pairs]
        )

    return loss


class _Adapted(nn.Linear):
    """A layer with an addition of low rank, which `eval()` merges into the weight and `train()` takes out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down, self.up = nn.Parameter(torch.randn(2, inputs)), nn.Parameter(torch.randn(outputs, 2))
        self.merged = False

    def train(self, mode: bool = True) -> "_Adapted":
        """Merge, or part."""
        if self.merged == mode:
            self.weight.data += (-1.0 if mode else 1.0) * self.up.data @ self.down.data
            self.merged = not mode
        super().train(mode)
        return self

    def forward(self, inputs: Tensor) -> Tensor:
        """The same in both modes."""
        plain = F.linear(inputs, self.weight, self.bias)
        return plain if self.merged else plain + inputs @ self.down.T @ self.up.T


class _LowRank(_Convolutional):
    """Its head is adapted."""

    def __init__(self) -> None:
        super().__init__()
        self.head = _Adapted(8, CLASSES)


class _Complex(nn.Module):
    """Weights over frequencies."""

    def __init__(self) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(4, 3, _SIZE[0], _SIZE[1] // 2 + 1, dtype=torch.complex64))
        self.head = nn.Linear(4, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits from the filtered pictures' mean squares."""
        filtered = torch.einsum("nchw,dchw->ndhw", torch.fft.rfft2(images), self.filter)
        return self.head(torch.fft.irfft2(filtered, s=_SIZE).square().mean((2, 3)))


def _quantized() -> nn.Module:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 20, 16), nn.ReLU(), nn.Linear(16, CLASSES)).eval()
    return torch.ao.quantization.quantize_dynamic(plain, {nn.Linear}, dtype=torch.qint8)


def _weight_normed() -> nn.Module:
    model = _Convolutional()
    torch.nn.utils.weight_norm(model.second)
    torch.nn.utils.weight_norm(model.head)
    return model


class _Scriptable(nn.Module):
    """Convolutions that torch can compile to TorchScript."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Linear(6, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.norm(self.first(images)).relu().mean((2, 3)))


def _scripted() -> nn.Module:
    scripted: nn.Module = torch.jit.script(_Scriptable())
    return scripted


def _masked(count: int) -> dict[str, Tensor]:
    images = pictures(3, *_SIZE)(count)
    return {"images": images, "masks": (images[:, :1] > 0.2).float()}


def _words(count: int) -> Tensor:
    return torch.randint(0, CLASSES, (count, 6), generator=torch.Generator().manual_seed(count))


def _per_pixel(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    return lambda output, labels: cross_entropy(output, labels).mean((1, 2))


def _first_of(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    return lambda output, labels: cross_entropy(output[0], labels)


def _own(name: str, build: Callable[[], nn.Module], **options: Any) -> Subject:
    given = {"inputs": pictures(3, *_SIZE), "images": _IMAGES, "points": _POINTS, "classifier": False, **options}
    return Subject(name=f"own {name}", family="own", build=build, **given)


OWN = [
    _own("dict in", _DictIn, inputs=_masked),
    _own(
        "tuple out",
        _TupleOut,
        loss=_first_of,
        metric=lambda output, labels: output[0].argmax(1) == labels,
        score=lambda output: output[0][:, 1],
        places=CHANNELS_FIRST,
    ),
    _own("tied weights", _Tied, inputs=_words),
    _own("weight_norm", _weight_normed, places=CHANNELS_FIRST),
    _own("LSTM", _Recurrent),
    _own(
        "PINN",
        _Physical,
        inputs=lambda count: torch.linspace(-2, 2, count)[:, None],
        labels=lambda count: torch.linspace(-2, 2, count)[:, None],
        loss=_residual,
        metric=None,
    ),
    _own(
        "segmentation",
        _Segmenting,
        labels=lambda count: torch.arange(count * 12 * 20).reshape(count, 12, 20) % CLASSES,
        loss=_per_pixel,
        metric=None,
        score=lambda output: output[:, 1].mean((1, 2)),
        places=CHANNELS_FIRST,
    ),
    _own(
        "detection",
        _Detecting,
        loss=_detection,
        metric=None,
        score=lambda output: torch.stack([one["scores"][:, 1].sum() for one in output]),
        places=CHANNELS_FIRST,
    ),
    _own("low rank", _LowRank, places=CHANNELS_FIRST),
    _own("complex", _Complex),
    _own("quantized", _quantized),
    _own("scripted", _scripted, places=CHANNELS_FIRST),
]
