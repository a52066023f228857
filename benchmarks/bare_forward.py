"""The fastest forward pass that we can write by hand: the mark that gradscape's engine is measured against.

Batch norms are folded into the layers before them, images and weights lie channels_last, convolutions take the ReLU
and the residual addition behind them along (oneDNN's post-operations) and have their weights packed beforehand, and the
batch size is the best of a few. Folding, packing and casting the weights is not timed: a bare forward pass only
evaluates. ResNets with projection shortcuts are written out below; any other network goes through `bare_graph`.
"""

import copy
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count, takewhile

import torch
from bare_graph import FoldedGraph
from positions import Directions, Position, moved_state
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_SIZES = (16, 32, 64, 128)
_PROBED_IMAGES = 256  # of which the best batch size is chosen
_EPSILON = 1e-5

Logits = Callable[[Tensor], Tensor]
Weights = dict[str, Tensor]
Place = Callable[[Mapping[str, Tensor], torch.Size, torch.dtype], Logits]  # from state, shape and type of a batch


def bare_forward(
    net: nn.Module, images: Tensor, labels: Tensor, directions: Directions, *, precision: str
) -> tuple[str, Callable[[Position], Callable[[], float]]]:
    """A note on what the forward pass is, and a function from a position to the one that is timed.

    Args:
        net: Any classifier, in `eval()`.
        images: (N, channels, height, width), normalized.
        labels: (N,).
        directions: The changes per unit of alpha and of beta.
        precision: "fp32" or "bf16".
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    center = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    laid_out = images.to(dtype).contiguous(memory_format=torch.channels_last)
    note, place = _network(net, images)

    def at(position: Position, size: int, count: int) -> Callable[[], float]:
        state = moved_state(center, directions, position)
        with torch.inference_mode():
            logits = place(state, laid_out[:size].shape, dtype)
        return partial(mean_loss, logits, laid_out[:count], labels[:count], size)

    size = _best_size(lambda size: at((0.0, 0.0), size, _PROBED_IMAGES))
    return f"{note}, batches of {size}", lambda position: at(position, size, len(images))


def mean_loss(logits: Logits, images: Tensor, labels: Tensor, size: int) -> float:
    """Mean cross-entropy over batches of `size`, with softmax and sums in fp32 or more."""
    total = torch.zeros((), dtype=torch.float64)
    with torch.inference_mode():
        for part, wanted in zip(images.split(size), labels.split(size), strict=True):
            total += F.cross_entropy(logits(part).float(), wanted, reduction="sum")
    return total.item() / len(images)


def _best_size(at: Callable[[int], Callable[[], float]]) -> int:
    """The batch size whose fastest of three passes is the fastest."""

    def seconds(size: int) -> float:
        measure, times = at(size), []
        for _ in range(3):
            start = time.perf_counter()
            measure()
            times.append(time.perf_counter() - start)
        return min(times)

    return min(BATCH_SIZES, key=seconds)


def _network(net: nn.Module, images: Tensor) -> tuple[str, Place]:
    if _is_projection_resnet(net.state_dict()):
        return "written by hand, all batch norms folded", _resnet
    try:
        graph = FoldedGraph(net, images[:4])
    except Exception as problem:  # torch.export refuses with many kinds
        return f"not folded, because torch.export refused with {type(problem).__name__}", partial(_unfolded, net)
    return f"by the graph, {graph.folded} of {graph.norms} batch norms folded", graph.place


def _unfolded(net: nn.Module, state: Mapping[str, Tensor], shape: torch.Size, dtype: torch.dtype) -> Logits:
    model = copy.deepcopy(net).eval()
    model.load_state_dict(state)
    return model.to(dtype).to(memory_format=torch.channels_last)


# ResNets of He et al. for small images, with projection shortcuts.


@dataclass(frozen=True)
class _Convolution:
    """A convolution, its batch norm, and where it stands."""

    name: str
    norm: str
    stride: int
    padding: int
    shrunk: int  # by which factor its input is smaller than the image

    def folded(self, state: Mapping[str, Tensor], shape: torch.Size, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Packed weight and bias, with the batch norm in them."""
        scale = state[f"{self.norm}.weight"] * torch.rsqrt(state[f"{self.norm}.running_var"] + _EPSILON)
        weight = (state[f"{self.name}.weight"] * scale.view(-1, 1, 1, 1)).to(dtype)
        bias = state[f"{self.norm}.bias"] - state[f"{self.norm}.running_mean"] * scale
        sides = [side // self.shrunk for side in shape[2:]]
        pair = [self.padding] * 2, [self.stride] * 2
        given = [shape[0], weight.shape[1], *sides]
        return torch.ops.mkldnn._reorder_convolution_weight(weight, *pair, [1, 1], 1, given), bias.to(dtype)


def _is_projection_resnet(state: Mapping[str, Tensor]) -> bool:
    blocks = r"layer[1-3]\.\d+\.(conv[12]|bn[12]|shortcut\.[01])"
    known = re.compile(rf"({blocks}|conv1|bn1|linear)\.\w+")
    return all(map(known.fullmatch, state)) and "layer3.0.shortcut.0.weight" in state


def _convolutions(state: Mapping[str, Tensor]) -> Iterable[_Convolution]:
    yield _Convolution("conv1", "bn1", 1, 1, 1)
    for block, stride, shrunk in _blocks(state):
        yield _Convolution(f"{block}.conv1", f"{block}.bn1", stride, 1, shrunk)
        yield _Convolution(f"{block}.conv2", f"{block}.bn2", 1, 1, shrunk * stride)
        if f"{block}.shortcut.0.weight" in state:
            yield _Convolution(f"{block}.shortcut.0", f"{block}.shortcut.1", stride, 0, shrunk)


def _blocks(state: Mapping[str, Tensor]) -> Iterable[tuple[str, int, int]]:
    """Name, stride, and factor by which the input is smaller than the image, of every block."""
    for stage in (1, 2, 3):
        names = (f"layer{stage}.{number}" for number in count())
        for number, name in enumerate(takewhile(lambda name: f"{name}.conv1.weight" in state, names)):
            first = stage > 1 and number == 0
            yield name, 2 if first else 1, 2 ** (stage - 2 if first else stage - 1)


def _resnet(state: Mapping[str, Tensor], shape: torch.Size, dtype: torch.dtype) -> Logits:
    weights: Weights = {}
    for layer in _convolutions(state):
        weights[layer.name], weights[f"{layer.name} bias"] = layer.folded(state, shape, dtype)
    weights["linear"], weights["linear bias"] = state["linear.weight"].to(dtype), state["linear.bias"].to(dtype)
    blocks = [(name, stride, f"{name}.shortcut.0" in weights) for name, stride, _ in _blocks(state)]
    return partial(_resnet_logits, weights, blocks)


def _resnet_logits(weights: Weights, blocks: list[tuple[str, int, bool]], images: Tensor) -> Tensor:
    x = _convolved(weights, "conv1", images)
    for name, stride, projects in blocks:
        shortcut = _convolved(weights, f"{name}.shortcut.0", x, stride, padding=0, then="none") if projects else x
        branch = _convolved(weights, f"{name}.conv1", x, stride)
        x = _convolved_onto(shortcut, weights, f"{name}.conv2", branch)
    return F.linear(x.mean((2, 3)), weights["linear"], weights["linear bias"])


def _convolved(
    weights: Weights, name: str, x: Tensor, stride: int = 1, *, padding: int = 1, then: str = "relu"
) -> Tensor:
    geometry = [padding] * 2, [stride] * 2, [1, 1], 1
    return torch.ops.mkldnn._convolution_pointwise(x, weights[name], weights[f"{name} bias"], *geometry, then, [], "")


def _convolved_onto(shortcut: Tensor, weights: Weights, name: str, x: Tensor) -> Tensor:
    """Relu(shortcut + convolution), in the shortcut's own memory, which nothing reads afterwards."""
    return torch.ops.mkldnn._convolution_pointwise_.binary(
        shortcut, x, weights[name], weights[f"{name} bias"], [1, 1], [1, 1], [1, 1], 1, "add", 1.0, "relu", [], None
    )
