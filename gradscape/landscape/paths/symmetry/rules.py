"""What each operator of a graph does to channels; one that has no rule here stops those that enter it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, fx

from gradscape.landscape.engine.graph.folding import arguments
from gradscape.landscape.paths.symmetry.channels import CONSTANT, ChannelBook, Channels
from gradscape.landscape.paths.symmetry.operators import CONVOLUTIONS, ELEMENTWISE, POOLING, REDUCTIONS, WITHOUT_VALUE

__all__ = ["follow_channels"]

Rule = Callable[[fx.Node, Channels], Channels | None]


def follow_channels(graph: fx.Graph, book: ChannelBook) -> None:
    """Follow the channels of every value through a graph.

    Args:
        graph: From `trace`: its nodes know the tensors of the network that they read as "source".
        book: Where it is written down.
    """
    _Reader(book).read(graph)


@final
class _Reader:
    """Goes through the nodes in their order; knows the channels of all values so far."""

    def __init__(self, book: ChannelBook) -> None:
        self.book = book
        self.values: dict[fx.Node, Channels] = {}
        self.rules: dict[str, Rule] = {
            **dict.fromkeys(POOLING, self._pool),
            **dict.fromkeys(REDUCTIONS, self._reduce),
            **dict.fromkeys(("view", "reshape", "flatten", "unflatten"), self._reshape),
            **dict.fromkeys(("pad", "constant_pad_nd"), self._pad),
            **dict.fromkeys(("softmax", "log_softmax"), self._softmax),
            **{name: getattr(self, f"_{name}") for name in ("slice", "permute", "transpose", "expand")},
            "getitem": lambda _, entering: entering,  # of a pair such as (maxima, their places), each of the same form
            **{name: getattr(self, f"_{name}") for name in ("squeeze", "unsqueeze", "group_norm", "prelu")},
        }

    def read(self, graph: fx.Graph) -> None:
        for node in graph.nodes:
            if node.op == "output":
                self._stop(node, "they are the output")
            elif node.op == "call_function":
                found = self._follow(node, _name(node))
                if found is not None:
                    self.values[node] = found

    def _follow(self, node: fx.Node, name: str) -> Channels | None:
        if name in WITHOUT_VALUE:  # how many images there are, say
            return None
        if name in CONVOLUTIONS:
            return self._convolve(node, transposed="transpose" in name)
        if name == "linear":
            return self._linear(node)
        if name in ("batch_norm", "instance_norm"):
            return self._batch_norm(node)
        if name == "layer_norm":
            return self._layer_norm(node)
        if name == "cat":
            return self._join(node)
        if name in ELEMENTWISE:
            return self._combine(node)
        entering = [one for one in node.all_input_nodes if one in self.values]
        if name in self.rules and len(entering) == 1 and entering[0] is node.args[0]:
            if name not in ("group_norm", "prelu"):
                self._use_whole(node)
            return self.rules[name](node, self.values[entering[0]])
        return self._stop(node, f"{name} is not followed")

    def _stop(self, node: fx.Node, why: str) -> Channels | None:
        """All that enters stays as it is, and so do the tensors of the network; nothing is known of what comes out."""
        for one in node.all_input_nodes:
            if one in self.values:
                self.book.stop(self.values[one], why)
        self._use_whole(node)
        return None

    def _use_whole(self, node: fx.Node) -> None:
        for one in node.all_input_nodes:
            if (source := _source(one)) is not None:
                self.book.use(source, {})

    def _entering(self, node: Any) -> Channels | None:
        return self.values.get(node) if isinstance(node, fx.Node) else None

    # Layers

    def _convolve(self, node: fx.Node, *, transposed: bool) -> Channels | None:
        given = arguments(node)
        entering, weight, groups = self._entering(given["input"]), _source(given["weight"]), int(given["groups"])
        if weight is None or (entering is not None and entering.dim != 1) or len(_shape(node)) < 3:
            return self._stop(node, "their weights are computed")
        incoming, outgoing = int(given["input"].meta["val"].shape[1]), int(node.meta["val"].shape[1])
        if groups > 1 and groups == incoming:
            return self._convolve_each(node, weight, entering, outgoing // incoming, transposed=transposed)
        made = self.book.make(outgoing, 1, weight)
        self.book.note(made, (node, "out"), groups)
        dims = {1 if transposed else 0: made}
        if entering is not None:
            self.book.note(entering, (node, "in"), groups)
            dims[0 if transposed else 1] = entering
        self.book.use(weight, dims, {1: groups})
        self._use_bias(given["bias"], made)
        return made

    def _convolve_each(
        self, node: fx.Node, weight: str, entering: Channels | None, copies: int, *, transposed: bool
    ) -> Channels | None:
        """A depthwise convolution: each channel becomes one channel, or several."""
        if entering is None:
            return self._stop(node, "their input stays")
        made = Channels(1, np.repeat(entering.atoms, copies), np.repeat(entering.tags, copies))
        if copies > 1:
            made = self.book.tagged(made, node, np.tile(np.arange(copies), len(entering)))
        made = self.book.marked(made, node)
        self.book.note(made, node)
        self.book.use(weight, {0: entering if transposed else made})
        self._use_bias(arguments(node)["bias"], made)
        return made

    def _linear(self, node: fx.Node) -> Channels | None:
        given = arguments(node)
        entering, weight, last = self._entering(given["input"]), _source(given["weight"]), len(_shape(node)) - 1
        if weight is None:
            return self._stop(node, "their weights are computed")
        if entering is not None and entering.dim != last:
            self._use_whole(node)
            self.book.note(entering, node)
            return entering
        made = self.book.make(int(node.meta["val"].shape[-1]), last, weight)
        self.book.note(made, (node, "out"))
        if entering is not None:
            self.book.note(entering, (node, "in"))
        self.book.use(weight, {0: made} if entering is None else {0: made, 1: entering})
        self._use_bias(given["bias"], made)
        return made

    def _use_bias(self, bias: Any, made: Channels) -> None:
        if (source := _source(bias)) is not None:
            self.book.use(source, {0: made})
        elif isinstance(bias, fx.Node):
            self.book.stop(made, "their bias is computed")

    def _batch_norm(self, node: fx.Node) -> Channels | None:
        entering = self._entering(node.args[0])
        tensors = [one for one in node.all_input_nodes if one is not node.args[0]]
        if entering is None or entering.dim != 1 or any(_source(one) is None for one in tensors):
            return self._stop(node, "their statistics are computed")
        for one in tensors:
            self.book.use(str(_source(one)), {0: entering})
        self.book.note(entering, node)
        return self.book.marked(entering, node)

    def _layer_norm(self, node: fx.Node) -> Channels | None:
        given = arguments(node)
        entering, first = self._entering(given["input"]), len(_shape(node)) - len(given["normalized_shape"])
        tensors = [one for one in (given["weight"], given["bias"]) if isinstance(one, fx.Node)]
        if entering is None or any(_source(one) is None for one in tensors):
            return self._stop(node, "their weights are computed")
        for one in tensors:
            self.book.use(str(_source(one)), {entering.dim - first: entering} if entering.dim >= first else {})
        self.book.note(entering, node)
        return self.book.marked(entering, node)

    def _group_norm(self, node: fx.Node, entering: Channels) -> Channels | None:
        given = arguments(node)
        if entering.dim != 1:
            return self._stop(node, "they are normalized along with others")
        self.book.note(entering, node, int(given["num_groups"]))
        return self._scaled(node, entering, (given["weight"], given["bias"]))

    def _prelu(self, node: fx.Node, entering: Channels) -> Channels | None:
        self.book.note(entering, node)
        return self._scaled(node, entering, node.args[1:])

    def _scaled(self, node: fx.Node, entering: Channels, tensors: Sequence[Any]) -> Channels | None:
        for one in tensors:
            if isinstance(one, fx.Node) and _shape(one) == [str(len(entering))]:
                if (source := _source(one)) is None:
                    return self._stop(node, "their weights are computed")
                self.book.use(source, {0: entering})
        return self.book.marked(entering, node)

    # Values that come together

    def _combine(self, node: fx.Node) -> Channels | None:
        """Elementwise, with broadcasting: dimensions count from the last one."""
        if not isinstance(node.meta.get("val"), Tensor):
            return self._stop(node, "what is computed is no tensor")
        size = len(_shape(node))
        inputs = [one for one in node.all_input_nodes if isinstance(one.meta.get("val"), Tensor)]
        tracked = [
            found.along(found.dim + size - len(_shape(one)))
            for one in inputs
            if (found := self.values.get(one)) is not None and len(found) > 1
        ]
        if not tracked or any((one.dim, len(one)) != (tracked[0].dim, len(tracked[0])) for one in tracked):
            return self._stop(node, "they meet others across")
        together = tracked[0]
        for other in tracked[1:]:
            together = self.book.unite(together, other, node)
        self.book.note(together, node)
        for one in inputs:
            own = together.dim - size + len(_shape(one))
            meets = own >= 0 and _shape(one)[own] == str(len(together))
            if (source := _source(one)) is not None:
                self.book.use(source, {own: together} if meets else {})
            elif meets and one not in self.values:
                self.book.stop(together, "they meet values whose places are fixed")
        return self.book.marked(together, node) if any(map(_source, inputs)) else together

    def _join(self, node: fx.Node) -> Channels | None:
        parts, size = list(node.args[0]), len(_shape(node))  # type: ignore[arg-type]
        dim = int(arguments(node)["dim"]) % size
        known = [self._entering(part) for part in parts]
        if not any(known) or any(len(_shape(part)) != size for part in parts):
            return self._stop(node, "they are joined with others")
        if all(one is None or one.dim == dim for one in known):
            return self._join_channels(node, parts, dim)
        if any(one is None or (one.dim, len(one)) != (known[0].dim, len(known[0])) for one in known if known[0]):
            return self._stop(node, "they are joined with others")
        together, *others = [one for one in known if one is not None]
        for other in others:
            together = self.book.unite(together, other, node)
        self.book.note(together, node)
        return together

    def _join_channels(self, node: fx.Node, parts: Sequence[fx.Node], dim: int) -> Channels:
        pieces = []
        for number, part in enumerate(parts):
            piece = self._entering(part)
            if piece is None:  # of the input, say: in places that stay
                piece = self.book.constants(int(part.meta["val"].shape[dim]), dim, (node, number))
            self.book.note(piece, (node, number))
            pieces.append(self.book.tagged(piece, (node, number)))
        self._use_whole(node)
        atoms, tags = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("atoms", "tags"))
        return Channels(dim, atoms, tags)

    # Values that only change their form

    def _pool(self, node: fx.Node, entering: Channels) -> Channels | None:
        return entering if entering.dim == 1 else self._stop(node, "they are pooled")

    def _reduce(self, node: fx.Node, entering: Channels) -> Channels | None:
        before, given = len(_shape(node.args[0])), arguments(node)
        dims = given.get("dim")
        reduced = {int(dim) % before for dim in ([dims] if isinstance(dims, int) else dims or range(before))}
        self.book.note(entering, node)
        if entering.dim in reduced and not isinstance(node.meta["val"], Tensor):  # which channel was the largest
            return self._stop(node, "their places are asked for")
        if entering.dim in reduced:  # alike for all channels: nothing of their order is left
            return None
        return entering.along(
            entering.dim - (0 if given.get("keepdim") else sum(dim < entering.dim for dim in reduced))
        )

    def _softmax(self, node: fx.Node, entering: Channels) -> Channels:
        self.book.note(entering, node)
        return entering

    def _reshape(self, node: fx.Node, entering: Channels) -> Channels | None:
        before, after, dim = _shape(node.args[0]), _shape(node), entering.dim
        if after[: dim + 1] == before[: dim + 1]:
            return entering
        if after[len(after) - (len(before) - dim) :] == before[dim:]:
            return entering.along(len(after) - (len(before) - dim))
        known = dim > 0 and all(length.isdigit() for length in before[dim + 1 :])
        inner = math.prod(int(length) for length in before[dim + 1 :]) if known else 0
        if known and after == [
            *before[:dim],
            str(len(entering) * inner),
        ]:  # a map becomes a row: each channel a run of features
            spread = Channels(dim, np.repeat(entering.atoms, inner), np.repeat(entering.tags, inner))
            return self.book.tagged(spread, node, np.tile(np.arange(inner), len(entering)))
        return self._stop(node, "they are reshaped")

    def _pad(self, node: fx.Node, entering: Channels) -> Channels | None:
        given = arguments(node)
        place = 2 * (len(_shape(node)) - 1 - entering.dim)
        before, after = ([*given["pad"], *[0] * (place + 2)])[place : place + 2]
        if (before, after) == (0, 0):
            return entering
        if given.get("mode", "constant") != "constant" or min(before, after) < 0:
            return self._stop(node, "they are padded by others")
        margins = [Channels(entering.dim, np.full(count, CONSTANT), np.zeros(count, int)) for count in (before, after)]
        left, right = (self.book.tagged(margin, node) for margin in margins)
        self.book.note(entering, node)
        return Channels(
            entering.dim,
            np.concatenate([left.atoms, entering.atoms, right.atoms]),
            np.concatenate([left.tags, entering.tags, right.tags]),
        )

    def _slice(self, node: fx.Node, entering: Channels) -> Channels:
        given = arguments(node)
        if int(given["dim"]) % len(_shape(node)) != entering.dim or len(entering) == int(_shape(node)[entering.dim]):
            return entering
        chosen = slice(given["start"], given["end"], given["step"])
        part = Channels(entering.dim, entering.atoms[chosen], entering.tags[chosen])
        self.book.note(part, node)
        return part

    def _permute(self, node: fx.Node, entering: Channels) -> Channels:
        size = len(_shape(node))
        return entering.along([int(dim) % size for dim in arguments(node)["dims"]].index(entering.dim))

    def _transpose(self, node: fx.Node, entering: Channels) -> Channels:
        first, second = (int(dim) % len(_shape(node)) for dim in node.args[1:3])  # type: ignore[arg-type]
        return entering.along({first: second, second: first}.get(entering.dim, entering.dim))

    def _expand(self, node: fx.Node, entering: Channels) -> Channels | None:
        moved = entering.along(entering.dim + len(_shape(node)) - len(_shape(node.args[0])))
        return moved if _shape(node)[moved.dim] == str(len(entering)) else self._stop(node, "they are repeated")

    def _squeeze(self, node: fx.Node, entering: Channels) -> Channels | None:
        dims, size = arguments(node).get("dim"), len(_shape(node.args[0]))
        if dims is None or len(entering) == 1:
            return self._stop(node, "dimensions are taken away")
        taken = {int(dim) % size for dim in ([dims] if isinstance(dims, int) else dims)}
        gone = [dim for dim in taken if _shape(node.args[0])[dim] == "1"]
        return entering.along(entering.dim - sum(dim < entering.dim for dim in gone))

    def _unsqueeze(self, node: fx.Node, entering: Channels) -> Channels:
        return entering.along(entering.dim + (int(arguments(node)["dim"]) % len(_shape(node)) <= entering.dim))


def _name(node: fx.Node) -> str:
    """An operator's name, the same for its variants: relu of relu_, add of add.Tensor."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return getattr(node.target, "__name__", str(node.target))
    return node.target._schema.name.rpartition("::")[2].rstrip("_")


def _source(node: Any) -> str | None:
    """The tensor of the network that a node reads."""
    return node.meta.get("source") if isinstance(node, fx.Node) and node.op == "get_attr" else None


def _shape(node: Any) -> list[str]:
    """Lengths as texts, so that an unknown number of images equals itself only."""
    return [str(length) for length in node.meta["val"].shape]
