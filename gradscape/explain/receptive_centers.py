"""Where in the image the parts of layers' outputs look, measured: a few copies of one image go through the model.

One copy is plain. Three carry the same random noise: everywhere alike, growing in strength down the image, and
growing to the right; of small images there are several such threes. A part of a layer that answers to the rows around y
answers to the second of these as strongly as to the first, times y: the quotient of its two answers is the center of
what it looks at, and so for x. One pass through the model thus measures every place of every layer, whatever its shape.

Attention lets every token look everywhere. It is silenced meanwhile (products of two activations give zero), so that
each token of a transformer answers to what it is made from and carries along its shortcuts: its own patch. Class
tokens, registers and queries then do not answer at all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.inputs import check_finite
from gradscape.explain.logits import tensors_in

__all__ = ["Answers", "Measurement", "measure_answers"]

Heard = TypeVar("Heard", str, tuple[str, int])

_STRENGTH: Final = 0.1  # of the noise, as a part of the image's range
_PIXELS: Final = 2**15  # that are to be disturbed in each of three ways, which is one image of 181 × 181
_MOST_DRAWS: Final = 8
_PRODUCTS: Final = frozenset(
    {torch.matmul, torch.bmm, torch.baddbmm, torch.einsum, Tensor.matmul, Tensor.bmm, Tensor.baddbmm, Tensor.__matmul__}
)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a layer's output, of several copies of an image, answered to the noise.

    Attributes:
        shape: Of its output, for the copies of a pass.
        copies: How many these are.
        energies: By the dimensions of the copies and of the channels: (3, …) sums over the channels of squared
            differences to the plain copy, for noise everywhere, growing downward, and growing to the right.
    """

    shape: tuple[int, ...]
    copies: int
    energies: Mapping[tuple[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one pass measured.

    Attributes:
        outputs: By layer, of those that give one tensor.
        keys: By the layer that attends, and how many tokens it attends to, of these: (N, L, C).
    """

    outputs: dict[str, Answers]
    keys: dict[tuple[str, int], Answers]


def measure_answers(
    model: nn.Module, layers: Mapping[str, nn.Module], images: Tensor, *, silenced: bool
) -> Measurement:
    """Return what the layers answer to noise in the first image, at their last run that answers at all.

    Args:
        model: Any module.
        layers: Its layers by name.
        images: (N, C, H, W), of which the first is disturbed.
        silenced: Whether attention is.

    Raises:
        ValueError: If that one is not finite.
    """
    with explainable(model):
        image = images_for(model, images[:1])
        check_finite(image)
        copies = _disturbed(image)
        try:
            return _measured_lightly(model, layers, [copies], len(copies), silenced=silenced)
        except torch.OutOfMemoryError:
            if len(images) >= len(copies):
                raise
        except (AssertionError, IndexError, RuntimeError, ValueError):
            if len(images) == len(copies):
                raise
        # A second input, or a model made for so many images, may allow no other number of them.
        rest = -len(copies) % len(images)
        chunks = torch.cat([copies, image.expand(rest, *image.shape[1:])]).split(len(images))
        return _measured_lightly(model, layers, chunks, len(copies), silenced=silenced)


def _measured_lightly(
    model: nn.Module, layers: Mapping[str, nn.Module], chunks: Sequence[Tensor], copies: int, *, silenced: bool
) -> Measurement:
    """Measure; the graph tells what depends on the image, but holds no tensors unless the model differentiates."""
    try:
        with saved_tensors_hooks(lambda _: None, _refuse):
            return _measured(model, layers, chunks, copies, silenced=silenced)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError):
        return _measured(model, layers, chunks, copies, silenced=silenced)


def _measured(
    model: nn.Module, layers: Mapping[str, nn.Module], chunks: Sequence[Tensor], copies: int, *, silenced: bool
) -> Measurement:
    """Measure by a pass of the model for each chunk of the copies, all equally long; the first copy is plain."""
    outputs, keys = _Heard[str](len(chunks[0]), copies), _Heard[tuple[str, int]](len(chunks[0]), copies)
    running: list[str] = []

    def begin(name: str) -> Callable[..., None]:
        return lambda *_: running.append(name)

    def end(_module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) and output else output  # as attention gives it
        name = running.pop()
        if isinstance(first, Tensor) and first.is_floating_point():
            outputs.hear(name, first)

    def attend(attended: Tensor) -> None:
        if running and attended.ndim == 3:
            keys.hear((running[-1], attended.shape[1]), attended)

    with ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_pre_hook(begin(name)).remove)
            hooks.callback(layer.register_forward_hook(end).remove)
        hooks.enter_context(_Silence(attend) if silenced else nullcontext())
        for chunk in chunks:
            outputs.start()
            keys.start()
            call_model(model, chunk.clone().requires_grad_().clone())
    return Measurement(outputs.answers(), keys.answers())


def _refuse(_nothing: None) -> Tensor:
    raise RuntimeError("a measurement keeps nothing to differentiate with")


def _disturbed(image: Tensor) -> Tensor:
    """(1 + 3 draws, C, H, W): plain, with noise that is even, that grows downward, and that grows to the right."""
    _, channels, height, width = image.shape
    draws = min(max(_PIXELS // (height * width), 1), _MOST_DRAWS)
    spread = (image.max() - image.min()).float().item()
    signs = np.random.default_rng(0).choice((-1.0, 1.0), (draws, channels, height, width))
    noise = _STRENGTH * (spread or 1.0) * torch.from_numpy(signs).to(image)
    down = ((torch.arange(height) + 0.5) / height).sqrt().to(image)[:, None]
    right = ((torch.arange(width) + 0.5) / width).sqrt().to(image)
    return image + torch.cat([torch.zeros_like(noise[:1]), noise, noise * down, noise * right])


@final
class _Heard(Generic[Heard]):
    """What layers gave, run by run, in one pass after the other.

    Args:
        size: Images in a pass.
        copies: How many of all passes' are copies, the plain one first; plain ones may fill up the last pass.
    """

    def __init__(self, size: int, copies: int) -> None:
        self._size, self._copies = size, copies
        self._runs: dict[tuple[Heard, int], _LayerRun] = {}
        self._counts: Counter[Heard] = Counter()

    def start(self) -> None:
        """A pass begins."""
        self._counts.clear()

    def hear(self, name: Heard, output: Tensor) -> None:
        """A layer gave something."""
        run = self._counts[name]
        self._counts[name] += 1
        output = output.detach()
        if (name, run) not in self._runs:
            axes = _possible_axes(output, self._size)
            batches = {batch for batch, _ in axes} if self._copies > self._size else set()
            first = {batch: output.movedim(batch, 0)[:1].clone() for batch in batches}
            self._runs[name, run] = _LayerRun(tuple(output.shape), first, {one: [] for one in axes})
        known = self._runs[name, run]
        for (batch, channels), squares in known.squares.items():
            copies = output.movedim(batch, 0)
            plain = known.plain.get(batch, copies[:1])
            squares.append((copies - plain).float().square().sum(channels).cpu())

    def answers(self) -> dict[Heard, Answers]:
        """By layer, of its last run that answers at all; of layers that have places by some way to read them."""
        found: dict[Heard, Answers] = {}
        for (name, _), run in self._runs.items():
            if run.squares:
                energies = {axes: self._energies(squares) for axes, squares in run.squares.items()}
                if name not in found or any(one.any() for one in energies.values()):
                    found[name] = Answers(run.shape, self._size, energies)
        return found

    def _energies(self, squares: Sequence[Tensor]) -> np.ndarray:
        """(3, …) for noise everywhere, growing downward, and growing to the right: means over the draws."""
        return torch.cat(list(squares))[1 : self._copies].unflatten(0, (3, -1)).mean(1).numpy()


@dataclass(frozen=True, eq=False)
class _LayerRun:
    """One run of a layer: its shape in a pass, and by each reading how far the copies differ from the plain one.

    That one is kept, by the dimension of the copies, only where more passes follow.
    """

    shape: tuple[int, ...]
    plain: dict[int, Tensor]
    squares: dict[tuple[int, int], list[Tensor]]


def _possible_axes(output: Tensor, copies: int) -> list[tuple[int, int]]:
    """The dimensions that can be those of the copies and of the channels."""
    last = output.ndim - 1
    candidates = {3: [(0, last), (0, 1), (1, last)], 4: [(0, last), (0, 1)]}.get(output.ndim, [])
    return [axes for axes in candidates if output.shape[axes[0]] == copies]


class _Silence(TorchFunctionMode):
    """Attention gives zeros; among the tokens of one set it gives back each token's own value."""

    def __init__(self, attend: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.attend = attend

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.multi_head_attention_forward:
            return self._whole(func, *args, **kwargs)
        output = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return self._unmixed(output, *args, **kwargs)
        operands = [one for one in tensors_in(args) if one.requires_grad]
        if func in _PRODUCTS and len(operands) > 1:
            # Of attention that is written out, the values are an operand of the last product.
            for one in (turned for operand in operands if operand.ndim > 2 for turned in (operand.mT, operand)):
                self.attend(one.transpose(1, 2).flatten(2) if one.ndim == 4 else one)
            return output * 0
        return output

    def _unmixed(self, output: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
        """Each token's own value where tokens attend to one another; nothing where constant queries ask."""
        if key.ndim == 4:
            self.attend(key.transpose(1, 2).flatten(2))
        among_themselves = query.requires_grad and key.requires_grad and output.shape == value.shape
        return value.clone() if among_themselves else torch.zeros_like(output)

    def _whole(self, func: Any, query: Tensor, key: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Any]:
        """The same for torch's whole attention of (L, N, C) tokens; its weights are as they were."""
        output, weights = func(query, key, *args, **kwargs)
        if key.ndim == 3:
            self.attend(key.transpose(0, 1))
        if not (query.requires_grad and key.requires_grad and len(query) == len(key)):
            return torch.zeros_like(output), weights
        others = ~torch.eye(len(query), dtype=torch.bool, device=query.device)
        alone = {"attn_mask": others, "key_padding_mask": None, "is_causal": False, "need_weights": False}
        return func(query, key, *args, **{**kwargs, **alone})[0], weights
