"""How each layer of a model is laid out: as the user says, or measured once and remembered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import final

from torch import Tensor, nn

from gradscape.explain.layout import Layout, MapLayout, as_maps, check_layout
from gradscape.explain.receptive_centers import Measurement, measure_answers
from gradscape.explain.remembered import remembered
from gradscape.explain.token_maps import count_places, has_maps_shape, read_layout

__all__ = ["LayerLayouts", "last_grid", "settle_layout"]

_CHANNELS_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)


@dataclass(eq=False)
class _Known:
    """What is known of a model's layers for images of one size: nothing in here holds the model."""

    silenced: Measurement
    mixed: Measurement | None = None
    layouts: dict[str, MapLayout | None] = field(default_factory=dict)


@final
class LayerLayouts:
    """The layouts of a model's layers, found by measurement: `receptive_centers` says how.

    Args:
        model: Any module.
        layers: Its layers by name.
        images: (N, C, H, W).
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module], images: Tensor) -> None:
        self._measure = partial(measure_answers, model, {"": model, **layers}, images)
        self._image_size = (images.shape[-2], images.shape[-1])
        self._dimensions = images.ndim
        key = ("layouts", tuple(images.shape[1:]))
        self._known = remembered(model, key, self._first_known)

    def of(self, name: str, features: Tensor, images: int) -> MapLayout | None:
        """Return the layout of what a layer gave for so many images, or None if it is not known.

        What the measurement bears out; where it says nothing, as for features that do not depend on the image, maps
        whose shape leaves no doubt have their channels first, unless attention made them, as it does its weights.
        """
        if self._dimensions != 4:  # volumes and signals have the order that torch's own layers have
            return "channels_first" if features.ndim == self._dimensions and len(features) == images else None
        found = self.measured(name) if self._fits(name, features, images) else None
        shaped = len(features) == images and has_maps_shape(tuple(features.shape), self._image_size)
        return "channels_first" if found is None and shaped and not self._only_by_attention(name) else found

    def measured(self, name: str) -> MapLayout | None:
        """Return a layer's layout, or None where it has none that the measurement bears out.

        What attention itself gives does not answer while it is silenced: it has the layout of the block around it, if
        its shape is the same, or one that is borne out with attention as it is.
        """
        layouts = self._known.layouts
        if name not in layouts:
            layouts[name] = self._found(name) if name in self._known.silenced.outputs else None
        return layouts[name]

    def has_places(self, name: str) -> bool:
        """Whether more than one part of what a layer gives for an image answers to it."""
        answers = self._known.silenced.outputs.get(name)
        return answers is not None and count_places(answers) > 1

    def _only_by_attention(self, name: str) -> bool:
        """Whether what a layer gives has places that answer to the image, but none while attention is silenced."""
        mixed = None if self._known.mixed is None else self._known.mixed.outputs.get(name)
        return not self.has_places(name) and mixed is not None and count_places(mixed) > 1

    def key_grid(self, name: str, keys: int) -> tuple[int, int] | None:
        """Return the (h, w) of the last h·w of the keys that a layer attends to, or None if they are no grid.

        Args:
            name: The layer.
            keys: How many there are.
        """
        answers = self._known.silenced.keys.get((name, keys))
        layout = self.measured(name) if answers is None else read_layout(answers, self._image_size)
        return last_grid(layout, keys) if isinstance(layout, Layout) else None

    def _fits(self, name: str, features: Tensor, images: int) -> bool:
        """Whether a layer gave for so many images what it gave in the measurement."""
        answers = self._known.silenced.outputs.get(name)
        if answers is None or features.ndim != len(answers.shape):
            return False
        sizes = list(zip(features.shape, answers.shape, strict=True))
        return any(
            sizes[batch] == (images, answers.copies) and all(a == b for a, b in sizes[:batch] + sizes[batch + 1 :])
            for batch, _ in answers.energies
        )

    def _first_known(self) -> _Known:
        return _Known(self._measure(silenced=True) if self._dimensions == 4 else Measurement({}, {}))

    def _found(self, name: str) -> MapLayout | None:
        answers = self._known.silenced.outputs[name]
        found = read_layout(answers, self._image_size)
        block = name
        while found is None and "." in block:
            block = block.rpartition(".")[0]
            around = self._known.silenced.outputs.get(block)
            if around is not None and around.shape == answers.shape:
                found = read_layout(around, self._image_size)
        if found is None:
            if self._known.mixed is None:
                self._known.mixed = self._measure(silenced=False)
            mixed = self._known.mixed.outputs.get(name)
            found = None if mixed is None else read_layout(mixed, self._image_size)
        return found


def last_grid(layout: Layout, tokens: int) -> tuple[int, int] | None:
    """Return the (h, w) of a layout if its places are the last of so many tokens, row by row; None otherwise."""
    places = layout.grid[0] * layout.grid[1]
    if layout.places is None and len({number % tokens for number in layout.extra}) != tokens - places:
        return None
    return layout.grid if layout.numbers(tokens) == tuple(range(tokens - places, tokens)) else None


def settle_layout(
    layout: MapLayout | None,
    features: Tensor,
    model: nn.Module,
    images: Tensor,
    *,
    layer: nn.Module,
    layers: Mapping[str, nn.Module],
    argument: str = "target_layer",
) -> MapLayout:
    """Return how what a layer gave is laid out: as stated, or as measured.

    Args:
        layout: As stated; None to have it measured, which costs a pass of four images (of small ones up to 25, or as
            many as there are, where the model takes no other number), once for each model and size.
        features: What the layer gave.
        model: Any module.
        images: (N, C, H, W).
        layer: Which layer.
        layers: All layers of the model by name.
        argument: What the caller's argument for the layer is called, for the messages.

    Raises:
        TypeError: If `layout` is of the wrong kind.
        ValueError: If it does not fit, or none is borne out by the measurement.
    """
    if layout is not None:
        check_layout(layout)
        return _checked(layout, features, images, argument)
    if features.ndim == images.ndim and isinstance(layer, _CHANNELS_FIRST):
        return _checked("channels_first", features, images, argument)
    name = next((name for name, one in layers.items() if one is layer), "")
    layouts = LayerLayouts(model, layers, images)
    found = layouts.of(name, features, len(images))
    if found is None:
        raise ValueError(_unknown(name or type(layer).__name__, features, images, argument))
    return found


def _checked(layout: MapLayout, features: Tensor, images: Tensor, argument: str) -> MapLayout:
    maps = as_maps(features, layout)
    if len(maps) != len(images):
        raise ValueError(
            f"`{argument}` must give one map for each of the {len(images)} images, but gives {tuple(features.shape)}; "
            "choose another layer, or another `layout`"
        )
    return layout


def _unknown(name: str, features: Tensor, images: Tensor, argument: str) -> str:
    """Why a layer's layout is not known."""
    shape, sides = tuple(features.shape), images.ndim - 2
    if features.ndim == images.ndim and len(features) != len(images):
        return (
            f"`{argument}` {name} must give a map for each of the {len(images)} images, along its first dimension, got "
            f"{len(features)}; choose another layer"
        )
    if sides != 2:
        wanted = {1: "(N, C, l)", 3: "(N, C, d, h, w)"}.get(sides, "(N, C, …)")
        return (
            f"`{argument}` {name} must give maps {wanted} of inputs with {sides} dimension{'s' * (sides > 1)}, got the "
            f"shape {shape}; choose another layer"
        )
    height, width = images.shape[2:]
    return (
        f"`{argument}` must give maps (N, C, h, w), (N, h, w, C), or tokens (N, L, C) on a grid over the image; {name} "
        f"gives {shape} for {len(images)} images of {height}×{width} pixels, and however that is read, its parts do "
        "not look where they would be drawn; choose another layer, or say with `layout` how it is laid out"
    )
