"""What the layers of a model gave on the way of one image, and which of them lie on every path to what is explained."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.explained import Explained
from gradscape.explain.inputs import check_finite
from gradscape.explain.layer_layouts import LayerLayouts
from gradscape.explain.layout import MapLayout, as_maps
from gradscape.explain.logits import logits_in, tensors_in

__all__ = ["PassedMap", "trace_maps"]

# They hand on, or average, what the layer before them found: that one is meant.
_NO_FINDERS = (
    *(nn.Identity, nn.modules.dropout._DropoutNd, nn.Flatten, nn.Unflatten),
    *(nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
    *(nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d),
    *(nn.AvgPool3d, nn.AdaptiveAvgPool3d, nn.AdaptiveMaxPool3d),
)


@dataclass(frozen=True)
class PassedMap:
    """A map that passed on the way from the image to what is explained.

    Attributes:
        name: The outermost layer that gave it.
        places: h·w; 0 where it has places, but it is not known how they are laid out.
        on_every_path: Whether all that the score knows of the image came through it.
        normalized_from: Name of the map that a layer normalization made it from, or None.
    """

    name: str
    places: int
    on_every_path: bool
    normalized_from: str | None


@dataclass(frozen=True, eq=False)
class _Event:
    """A layer finished."""

    name: str
    module: nn.Module
    input: Tensor | None
    output: Tensor
    node: Node  # taken at once: an operation in place gives the same tensor another one


def trace_maps(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    images: Tensor,
    *,
    pick: Callable[[Any], Explained] | None = None,
    layout: MapLayout | None = None,
) -> list[PassedMap]:
    """Follow the first image and return the maps that layers gave, in the order in which they were finished.

    A map has more than one place. Weights come after it: without, it holds the classes' scores already. And more than
    one of its places has influence on what these weigh, unlike the patches after ViT's last block. What does not lead
    to the score is not looked at.

    Args:
        model: Any module.
        layers: Its layers by name.
        images: (N, C, H, W).
        pick: From the model's output to what is explained; None for its logits.
        layout: How the maps are laid out, where the user says so; None to have it measured.
    """
    layouts = LayerLayouts(model, layers, images)
    events: list[_Event] = []
    with explainable(model), ExitStack() as hooks:
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_hook(_listener(name, events)).remove)
        own = images_for(model, images)
        check_finite(own)
        image, results = _followed(model, own, pick, events)
        leading = set(_children_first([one.grad_fn for one in results if one.grad_fn is not None]))
        scored = [event for event in events if event.node in leading]
        weighing = [number for number, event in enumerate(scored) if _weighs(event.module)]
        before = scored[: weighing[-1]] if weighing else []
        head = scored[weighing[-1]].input if weighing else None
        givers = _outermost(before, Counter(event.name for event in events))
        known = [_layout_of(event, layouts, len(image), layout) for event in givers]
        counts = _influential_places(givers, known, [*results, *_differentiable_in(head)])
        crossed = _nodes_on_every_path(results, image)
        names = {id(event.output): event.name for event in givers}
    passed = []
    for event, one, (places, influential) in zip(givers, known, counts, strict=True):
        if influential > 1 or (one is None and layout is None and layouts.has_places(event.name)):
            passed.append(PassedMap(event.name, places, event.node in crossed, _normalized_from(event, names)))
    return passed


def _followed(
    model: nn.Module, images: Tensor, pick: Callable[[Any], Explained] | None, events: list[_Event]
) -> tuple[Tensor, list[Tensor]]:
    """The images that were followed, the first one if possible, and what they led to."""

    def followed(image: Tensor) -> tuple[Tensor, list[Tensor]]:
        image = image.clone().requires_grad_()
        output = call_model(model, image.clone())
        return image, _differentiable_in(logits_in(output) if pick is None else pick(output).scores)

    try:
        return followed(images[:1])
    except (AssertionError, IndexError, RuntimeError, ValueError):
        if len(images) == 1:
            raise
    events.clear()  # the model or the score may be made for this number of images
    return followed(images)


def _layout_of(event: _Event, layouts: LayerLayouts, images: int, stated: MapLayout | None) -> MapLayout | None:
    """How what a layer gave is laid out, if it is a map."""
    if stated is None:
        return layouts.of(event.name, event.output, images)
    try:
        return stated if len(as_maps(event.output, stated)) == images and event.output.ndim > 2 else None
    except ValueError:
        return None


def _listener(name: str, events: list[_Event]) -> Any:
    def listen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.grad_fn is not None:
            first = inputs[0] if inputs and isinstance(inputs[0], Tensor) else None
            events.append(_Event(name, module, first, output, output.grad_fn))

    return listen


def _weighs(module: nn.Module) -> bool:
    return not any(True for _ in module.children()) and any(True for _ in module.parameters(recurse=False))


def _outermost(events: list[_Event], runs: Counter[str]) -> list[_Event]:
    """For each tensor its outermost layer, the first of equals; only last runs, since these are explained."""
    left = runs.copy()
    chosen: dict[tuple[int, int], _Event] = {}
    for event in events:
        left[event.name] -= 1
        if left[event.name] or isinstance(event.module, _NO_FINDERS):
            continue
        key = id(event.output), id(event.node)
        if key not in chosen or event.name.count(".") < chosen[key].name.count("."):
            chosen[key] = event  # at the place in the order where the tensor first was
    return list(chosen.values())


def _normalized_from(event: _Event, names: Mapping[int, str]) -> str | None:
    return names.get(id(event.input)) if isinstance(event.module, nn.LayerNorm) else None


def _influential_places(
    events: list[_Event], layouts: list[MapLayout | None], results: list[Tensor]
) -> list[tuple[int, int]]:
    """For each event how many places its map has, 0 if it is none, and how many of them reach the results.

    The results are weighed unevenly, since a normalized result has a constant sum. What the head takes in is one of
    them, since a head may still be zero.
    """
    laid_out = [(event.output, layout) for event, layout in zip(events, layouts, strict=True) if layout is not None]
    if not laid_out or not results:
        return [(0, 0)] * len(events)
    uneven = sum((one.flatten() * torch.arange(one.numel(), device=one.device).cos()).sum() for one in results)
    assert isinstance(uneven, Tensor)
    gradients = iter(torch.autograd.grad(uneven, [output for output, _ in laid_out], allow_unused=True))
    counts = []
    for layout in layouts:
        gradient = None if layout is None else next(gradients)
        if layout is None or gradient is None:
            counts.append((0, 0))
        else:
            reached = (as_maps(gradient, layout)[:1] != 0).any(1)
            counts.append((reached.numel(), int(reached.sum())))
    return counts


def _differentiable_in(value: Any) -> list[Tensor]:
    """The tensors in an output of any kind that gradients can start from."""
    return [tensor for tensor in tensors_in(value) if tensor.requires_grad]


def _nodes_on_every_path(outputs: Iterable[Tensor], image: Tensor) -> set[Node]:
    """The operations that all paths from the outputs to the image lead through, found by counting paths."""
    ends = [output.grad_fn for output in outputs if output.grad_fn is not None]
    order = _children_first(ends)
    below: dict[Node, int] = {}
    for node in order:
        is_image = getattr(node, "variable", None) is image
        below[node] = 1 if is_image else sum(below[child] for child in _children(node))
    above = Counter(ends)
    for node in reversed(order):
        for child in _children(node):
            above[child] += above[node]
    total = sum(below[end] for end in ends)
    return {node for node in order if total and above[node] * below[node] == total}


def _children_first(ends: list[Node]) -> list[Node]:
    order: dict[Node, None] = {}
    stack = [(end, False) for end in ends]
    entered: set[Node] = set()
    while stack:
        node, leaving = stack.pop()
        if leaving:
            order[node] = None
        elif node not in entered:
            entered.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))
    return list(order)


def _children(node: Node) -> Iterator[Node]:
    return (child for child, _ in node.next_functions if child is not None)
