"""Networks that hold what others forget to put back, each with layers that can be told to fail."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, spectral_norm, weight_norm

from gradscape._taps import Tap
from tests.aborts.trip import Trip

__all__ = ["CLASSES", "IMAGE", "NETWORKS", "make_network"]

CLASSES, IMAGE = 10, (3, 8, 6)


class _Breaking(torch.autograd.Function):
    """Passes everything on; its backward pass may fail."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, trip: Trip) -> Tensor:
        ctx.trip = trip
        return inputs.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.trip.met("backward")
        return gradient, None


class _Gate(nn.Module):
    """A layer that may fail as it runs."""

    def __init__(self, trip: Trip) -> None:
        super().__init__()
        self.trips = (trip,)

    def forward(self, inputs: Tensor) -> Tensor:
        self.trips[0].met("layer")
        return _Breaking.apply(inputs, self.trips[0]) if inputs.requires_grad else inputs


class _Attended(nn.Module):
    """Channel attention that shows itself."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before, self.channel, self.result = Tap("before"), Tap("channel"), Tap("result")
        self.squeeze = nn.Linear(channels, channels)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.before(inputs)
        weights = self.channel(self.squeeze(features.mean((2, 3))).sigmoid())
        return self.result(features * weights[:, :, None, None])


class _Net(nn.Module):
    """Convolution, batch norm, attention, head, and a gate between each two."""

    def __init__(self, trip: Trip) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.gate, self.late = _Gate(trip), _Gate(trip)
        self.mixed: nn.Module = nn.Conv2d(6, 6, 3, padding=1)
        self.attended, self.drop = _Attended(6), nn.Dropout(0.3)
        self.head = nn.Linear(6, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        hidden = F.relu(self.norm(self.gate(self.conv(images))))
        hidden = self.attended(F.relu(self.mixed(hidden)))
        return self.head(self.drop(self.late(hidden.mean((2, 3)))))


class _Tied(_Net):
    """Runs one layer twice, whose weight another one has too."""

    def __init__(self, trip: Trip) -> None:
        super().__init__(trip)
        self.again = nn.Conv2d(6, 6, 3, padding=1)
        self.again.weight = self.mixed.weight  # type: ignore[assignment]
        self.mixed = nn.Sequential(self.mixed, nn.ReLU(), self.mixed, self.again)


class _Caching(_Net):
    """Keeps what it gave last, a history, and buffers of every kind that it exchanges or writes to."""

    def __init__(self, trip: Trip) -> None:
        super().__init__(trip)
        self.history: list[Tensor] = []
        self.cache: dict[str, Tensor] = {}
        self.register_buffer("calls", torch.zeros(1), persistent=False)
        self.register_buffer("seen", torch.zeros(6))
        self.register_buffer("none", None)

    def forward(self, images: Tensor) -> Tensor:
        output = super().forward(images)
        self.last = output
        self.history.append(output.detach())
        self.cache["last"] = output.detach().sum()
        self.calls = self.get_buffer("calls") + 1
        self.get_buffer("seen").add_(1)
        return output


class _Merging(nn.Module):
    """Two branches that `eval()` adds up in place, and `train()` takes apart again."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 1)
        self.merged = False

    def train(self, mode: bool = True) -> "_Merging":
        super().train(mode)
        if self.merged is mode:
            sign = -1 if mode else 1
            self.wide.weight.data += sign * F.pad(self.narrow.weight.data, (1, 1, 1, 1))
            self.merged = not mode
        return self

    def forward(self, images: Tensor) -> Tensor:
        return self.wide(images) if self.merged else self.wide(images) + self.narrow(images)


class _Complex(nn.Module):
    """A product with complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.turned = nn.Parameter(torch.randn(6, 6, 1, 1, dtype=torch.complex64))

    def forward(self, inputs: Tensor) -> Tensor:
        return F.conv2d(inputs, self.turned.real) + F.conv2d(inputs, self.turned.imag)


def _plain(trip: Trip) -> nn.Module:
    return _Net(trip)


def _old_norms(trip: Trip) -> nn.Module:
    net = _Net(trip)
    weight_norm(net.head)
    net.mixed = spectral_norm(nn.Conv2d(6, 6, 3, padding=1))
    return net


def _parametrized(trip: Trip) -> nn.Module:
    net = _Net(trip)
    parametrizations.weight_norm(net.head)
    net.mixed = parametrizations.spectral_norm(nn.Conv2d(6, 6, 3, padding=1))
    return net


def _hooked(trip: Trip) -> nn.Module:
    net = _Net(trip)
    net.conv.register_forward_hook(lambda *_: trip.met("hook"))
    net.mixed.register_forward_pre_hook(lambda *_: trip.met("hook"))
    net.head.register_full_backward_hook(lambda *_: None)
    net.head.weight.register_hook(lambda gradient: gradient)
    return net


def _merging(trip: Trip) -> nn.Module:
    net = _Net(trip)
    net.mixed = _Merging()
    return net


def _complex(trip: Trip) -> nn.Module:
    net = _Net(trip)
    net.mixed = _Complex()
    return net


def _double(trip: Trip) -> nn.Module:
    return _Net(trip).double()


def _coarse(trip: Trip) -> nn.Module:
    return _Net(trip).bfloat16()


def _channels_last(trip: Trip) -> nn.Module:
    return _Net(trip).to(memory_format=torch.channels_last)


def _inferring(trip: Trip) -> nn.Module:
    with torch.inference_mode():
        return _Net(trip)


def _lazy(trip: Trip) -> nn.Module:
    net = _Net(trip)
    net.head = nn.LazyLinear(CLASSES)
    return net


def _compiled(trip: Trip) -> nn.Module:
    return torch.compile(_Net(trip), backend="eager")  # type: ignore[return-value]


NETWORKS: dict[str, Callable[[Trip], nn.Module]] = {
    "plain": _plain,
    "tied": _Tied,
    "caching": _Caching,
    "old norms": _old_norms,
    "parametrized": _parametrized,
    "hooked": _hooked,
    "merging": _merging,
    "complex": _complex,
    "double": _double,
    "coarse": _coarse,
    "channels last": _channels_last,
    "inference": _inferring,
    "lazy": _lazy,
    "compiled": _compiled,
}


def make_network(name: str, trip: Trip) -> nn.Module:
    """A network in mixed modes, partly frozen, with gradients, that has run before."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = NETWORKS[name](trip)
        net.train()
        if name not in ("inference", "lazy"):
            dtype = next(net.parameters()).dtype
            net(torch.rand(4, *IMAGE, dtype=dtype)).sum().backward()
            next(net.parameters()).requires_grad_(False)
    for number, module in enumerate(net.modules()):
        module.training = number % 3 > 0
    return net
