"""Where in the image the parts of layers' outputs look, measured: four copies of one image go through the model.

One copy is plain. The others carry the same random noise: everywhere alike, growing in strength down the image, and
growing to the right. A part of a layer that answers to the rows around y answers to the second of these as strongly as
to the first, times y: the quotient of its two answers is the center of what it looks at, and so for x. One pass through
the model thus measures every place of every layer, whatever the shape says.

Attention lets every token look everywhere. It is silenced meanwhile (products of two activations give zero), so that
each token of a transformer answers to what it is made from and carries along its shortcuts: its own patch. Class
tokens, registers and queries then do not answer at all.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gradscape.explain.explainable import call_model, explainable, images_for

__all__ = ["COPIES", "Answers", "Measurement", "measure_answers"]

COPIES: Final = 4
_STRENGTH: Final = 0.1  # of the noise, as a part of the image's range
_PRODUCTS: Final = frozenset(
    {torch.matmul, torch.bmm, torch.baddbmm, torch.einsum, Tensor.matmul, Tensor.bmm, Tensor.baddbmm, Tensor.__matmul__}
)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a layer's output, of four copies of an image, answered to the noise.

    Attributes:
        shape: Of its output, for the four copies.
        energies: By the dimensions of the copies and of the channels: (3, …) sums over the channels of squared
            differences to the plain copy, for noise everywhere, growing downward, and growing to the right.
    """

    shape: tuple[int, ...]
    energies: Mapping[tuple[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Measurement:
    """What one pass measured.

    Attributes:
        outputs: By layer, of those that give one tensor.
        keys: By the layer that attends, of what it attends to: tokens (N, L, C).
    """

    outputs: dict[str, Answers]
    keys: dict[str, Answers]


def measure_answers(
    model: nn.Module, layers: Mapping[str, nn.Module], images: Tensor, *, silenced: bool
) -> Measurement:
    """Return what the layers answer to noise in the first image, at their last run.

    Args:
        model: Any module.
        layers: Its layers by name.
        images: (N, C, H, W), of which the first is disturbed.
        silenced: Whether attention is.
    """
    found = Measurement({}, {})
    running: list[str] = []

    def begin(name: str) -> Callable[..., None]:
        return lambda *_: running.append(name)

    def end(_module: nn.Module, _inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) and output else output  # as attention gives it
        answers = _answers(first) if isinstance(first, Tensor) and first.is_floating_point() else None
        name = running.pop()
        if answers is not None:
            found.outputs[name] = answers

    def attend(keys: Tensor) -> None:
        answers = _answers(keys)
        if answers is not None and running:
            found.keys[running[-1]] = answers

    with explainable(model), ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_pre_hook(begin(name)).remove)
            hooks.callback(layer.register_forward_hook(end).remove)
        copies = _disturbed(images_for(model, images[:1])).requires_grad_()
        hooks.enter_context(_Silence(attend) if silenced else nullcontext())
        call_model(model, copies.clone())
    return found


def _disturbed(image: Tensor) -> Tensor:
    """(4, C, H, W): plain, and with noise that is even, that grows downward, and that grows to the right."""
    _, _, height, width = image.shape
    spread = (image.max() - image.min()).float().item()
    signs = torch.from_numpy(np.random.default_rng(0).choice((-1.0, 1.0), tuple(image.shape[1:])))
    noise = (_STRENGTH * (spread or 1.0) * signs).to(image)
    down = ((torch.arange(height) + 0.5) / height).sqrt().to(image)[:, None]
    right = ((torch.arange(width) + 0.5) / width).sqrt().to(image)
    return image + torch.stack([torch.zeros_like(noise), noise, noise * down, noise * right])


def _answers(output: Tensor) -> Answers | None:
    """Of all ways in which the output may be laid out, or None if it has no places by any."""
    if output.ndim not in (3, 4) or COPIES not in output.shape:
        return None
    energies: dict[tuple[int, int], np.ndarray] = {}
    last = output.ndim - 1
    for batch, channels in ((0, last), (0, 1), (1, last)):
        if output.shape[batch] == COPIES and (batch == 0 or output.ndim == 3):
            copies = output.detach().movedim(batch, 0)
            squares = (copies[1:] - copies[:1]).float().square()
            energies[batch, channels] = squares.sum(channels).cpu().numpy()
    return Answers(tuple(output.shape), energies) if energies else None


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
        if func in _PRODUCTS and sum(one.requires_grad for one in _tensors(args)) > 1:
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


def _tensors(values: Any) -> list[Tensor]:
    found: list[Tensor] = []
    for one in values:
        if isinstance(one, Tensor):
            found.append(one)
        elif isinstance(one, list | tuple):
            found += _tensors(one)
    return found
