"""Self-attention of other libraries' networks, seen where it calls torch.

`scaled_dot_product_attention` and `multi_head_attention_forward` hand their weights to nobody: they are computed once
more from the same queries, keys and masks. Attention written out, such as Hugging Face's `eager_attention_forward`, is
known by what it does: a softmax over the last dimension whose result is then multiplied with values. So any network
that attends in one of these ways shows its weights, with whatever it does to its queries and keys before.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from gradscape._taps import Tap

__all__ = ["AttentionCall", "RunningModule", "has_taps", "watching_attention"]

_SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)
_PRODUCTS = (torch.matmul, Tensor.matmul, Tensor.__matmul__, torch.bmm, Tensor.bmm)
# They hand the weights on, by the values or the sides exchanged.
_HANDING_ON = (
    *(F.dropout, torch.dropout, Tensor.to, Tensor.type_as, Tensor.float, Tensor.half, Tensor.bfloat16),
    *(Tensor.contiguous, Tensor.clone),
)
_EXCHANGING = (Tensor.transpose, torch.transpose, Tensor.permute, Tensor.mT.__get__)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class RunningModule:
    """A module between its begin and its end.

    Attributes:
        name: Its name.
        module: Itself.
        input_shape: Of the first tensor that it took.
        map_size: (H, W) of the map whose tokens it took, where it was told so after them, as in Hugging Face's Swin.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...]
    map_size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """One time that something attends.

    Attributes:
        running: The modules inside of which it does, the outermost first.
        weights: Gives the weights, (…, queries, keys).
        shape: Of the weights.
        output: What the call gives: a mixture of values for every query.
        query_dim: The dimension of the output along which its queries lie.
        depth: How many numbers a query has.
    """

    running: tuple[RunningModule, ...]
    weights: Callable[[], Tensor]
    shape: tuple[int, ...]
    output: Tensor
    query_dim: int
    depth: int


@contextmanager
def watching_attention(
    layers: Mapping[str, nn.Module],
    see: Callable[[AttentionCall], Tensor | None],
    *,
    lose: Callable[[str], None] = lambda _name: None,
) -> Iterator[None]:
    """Meanwhile `see` is called with whatever attends, and may give another output for the network to go on with.

    Modules with taps of their own, which show their attention themselves, are left out.

    Args:
        layers: Modules by name.
        see: Takes a call that attends.
        lose: Called with the name of a module whose softmax, over the last side of a square, was not seen to weigh
            values, as that of talking heads.
    """
    running: list[RunningModule] = []

    def beginner(name: str) -> Any:
        def begin(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            shape = tuple(inputs[0].shape) if inputs and isinstance(inputs[0], Tensor) else ()
            running.append(RunningModule(name, module, shape, _map_size(inputs)))

        return begin

    def end(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        running.pop()

    with ExitStack() as stack:
        for name, module in layers.items():
            stack.callback(module.register_forward_pre_hook(beginner(name)).remove)
            stack.callback(module.register_forward_hook(end, always_call=True).remove)
        seen = stack.enter_context(_AttentionSeen(running, see, lose))
        yield
        seen.close()


def _map_size(inputs: tuple[Any, ...]) -> tuple[int, int] | None:
    """The (H, W) of tokens, if that is what a module takes after them."""
    match inputs:
        case [Tensor(), [int(height), int(width)], *_] if inputs[0].ndim == 3 and inputs[0].shape[1] == height * width:
            return height, width
    return None


def has_taps(module: nn.Module) -> bool:
    """Whether a module shows its attention by itself."""
    return any(isinstance(child, Tap) for child in module.children())


class _AttentionSeen(TorchFunctionMode):
    """Sees every call of a torch function, and tells of those that attend."""

    def __init__(
        self,
        running: list[RunningModule],
        see: Callable[[AttentionCall], Tensor | None],
        lose: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.running, self.see, self.lose = running, see, lose
        self.began_in = ""
        self.weights: Tensor | None = None  # of the last softmax, until values are multiplied with it
        self.handed_on: dict[int, tuple[Tensor, bool]] = {}  # by id: the same, and whether its sides are exchanged

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if not self.running or has_taps(self.running[-1].module):
            return output
        if func is F.scaled_dot_product_attention:
            return self._tell(output, _dot_product_call(output, *args, **kwargs))
        if func is F.multi_head_attention_forward:
            mixed = self._tell(output[0], _multi_head_call(func, output[0], args, kwargs))
            return (mixed, *output[1:])
        if func in _SOFTMAX:
            self._begin(output, kwargs.get("dim", args[1] if len(args) > 1 else None))
        elif self.weights is not None and args:
            return self._follow(func, args, output)
        return output

    def close(self) -> None:
        """Give up waiting for what the last softmax weighs."""
        if self.weights is not None and self.weights.ndim == 4 and self.weights.shape[-2] == self.weights.shape[-1] > 1:
            self.lose(self.began_in)
        self.weights, self.handed_on = None, {}

    def _begin(self, output: Tensor, dim: int | None) -> None:
        self.close()
        self.began_in = self.running[-1].name
        over_last = dim is not None and output.ndim >= 3 and dim % output.ndim == output.ndim - 1
        self.weights = output if over_last else None
        self.handed_on = {id(output): (output, False)} if over_last else {}

    def _follow(self, func: Any, args: Any, output: Any) -> Any:
        """Look where the softmax's result goes, until it is multiplied."""
        places = [number for number, one in enumerate(args) if id(one) in self.handed_on]
        if not places:
            return output
        exchanged = self.handed_on[id(args[places[0]])][1]
        if func in _HANDING_ON:
            self.handed_on[id(output)] = output, exchanged
        elif func in _EXCHANGING and output.shape[-2:] == args[0].shape[:-3:-1]:
            self.handed_on[id(output)] = output, not exchanged
        elif func in _PRODUCTS and (places[0] == 1) == exchanged:
            query_dim = -1 if exchanged else -2
            return self._finish(output, query_dim % output.ndim, output.shape[-3 - query_dim])
        elif func is torch.einsum and isinstance(args[0], str) and not exchanged:
            found = _einsum_query(args[0], places[0] - 1)
            if found is not None:
                return self._finish(output, found, output.shape[-1])
        return output

    def _finish(self, output: Tensor, query_dim: int, depth: int) -> Tensor:
        weights = self.weights
        assert weights is not None
        self.weights, self.handed_on = None, {}
        return self._tell(output, ((lambda: weights), tuple(weights.shape), query_dim, depth))

    def _tell(self, output: Tensor, call: tuple[Callable[[], Tensor], tuple[int, ...], int, int]) -> Tensor:
        weights, shape, query_dim, depth = call
        other = self.see(AttentionCall(tuple(self.running), weights, shape, output, query_dim, depth))
        return output if other is None else other


def _einsum_query(equation: str, operand: int) -> int | None:
    """Where the output of an einsum has the queries of the weights, which are one of its operands."""
    operands, _, result = equation.replace(" ", "").partition("->")
    letters = operands.split(",")
    if "." in equation or not result or len(letters) != 2 or len(letters[operand]) < 3:
        return None
    query, key = letters[operand][-2], letters[operand][-1]
    return result.index(query) if query in result and key not in result else None


def _dot_product_call(output: Tensor, *args: Any, **kwargs: Any) -> Any:
    """What `AttentionCall` says of `scaled_dot_product_attention`."""

    def weights() -> Tensor:
        found = _dot_product_weights(*args, **kwargs)
        return _as_the_kernel(found, output.isfinite().all(-1))

    query, key = (kwargs[name] if name in kwargs else args[place] for place, name in enumerate(("query", "key")))
    return weights, (*query.shape[:-1], key.shape[-2]), output.ndim - 2, query.shape[-1]


def _multi_head_call(func: Any, output: Tensor, args: Any, kwargs: dict[str, Any]) -> Any:
    """What `AttentionCall` says of `multi_head_attention_forward`, whose output is (queries, N, channels)."""
    asked = {**kwargs, "need_weights": True, "average_attn_weights": False, "training": False}
    weights = func(*args, **asked)[1]
    finite = output.isfinite().all(-1)
    weights = _as_the_kernel(weights, finite.T[:, None] if finite.ndim == 2 else finite)
    return (lambda: weights), tuple(weights.shape), 0, output.shape[-1] // weights.shape[-3]


def _as_the_kernel(
    weights: Float[Tensor, "*batch queries keys"], finite: Bool[Tensor, "*finite queries"]
) -> Float[Tensor, "*batch queries keys"]:
    """Zero for a query all of whose keys are masked, as where the fused kernel gives it 0; a softmax gives NaN."""
    masked = weights.isnan().all(-1) & finite
    return weights.masked_fill(masked[..., None], 0)


def _dot_product_weights(
    query: Float[Tensor, "*batch heads queries depth"],
    key: Float[Tensor, "*batch key_heads keys depth"],
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001 (torch's signature)
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: FBT001
) -> Float[Tensor, "*batch heads queries keys"]:
    """The weights inside of `scaled_dot_product_attention`, whose arguments these are."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(-1)
