"""Which layer to explain: by name, by module, or found by following one image through the model."""

from functools import partial
from typing import Any

from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape._left_as_before import left_as_before
from gradscape._names import unknown_name
from gradscape.explain.blindness import raise_why_blind
from gradscape.explain.explainable import ForwardFunction, called_by, uncompiled
from gradscape.explain.explained import Score, pick_scores
from gradscape.explain.layer_trace import PassedMap, trace_maps
from gradscape.explain.layout import MapLayout, check_layout
from gradscape.explain.remembered import identity_of, remembered

__all__ = ["find_target_layer", "layer_names", "named_layer", "resolve_layer"]

_DEPTHS = 4  # times the places of the last map: where more, the head sees maps of several depths


def layer_names(model: nn.Module) -> dict[str, nn.Module]:
    """Return a model's modules by the names that users give: without a checkpoint's `network.` and the compiler's own.

    Args:
        model: Any module, loaded from a checkpoint or compiled or neither.
    """
    # An inner module follows its compiled wrapper, and is the one that runs when nothing is compiled.
    names = {_plain(name): module for name, module in _root(model).named_modules()}
    return {name: module for name, module in names.items() if name}


def resolve_layer(
    model: nn.Module,
    asked: str | nn.Module | None,
    images: Tensor,
    *,
    score: Score | None = None,
    layout: MapLayout | None = None,
) -> tuple[str, nn.Module]:
    """Return the layer to explain with its name.

    Args:
        model: Any module.
        asked: As `named_layer` takes it; None for the layer of `find_target_layer`.
        images: (N, C, H, W), of which the first is followed where the layer is to be found.
        score: As `find_target_layer` takes it.
        layout: As `find_target_layer` takes it.

    Raises:
        TypeError: `asked` is something else.
        ValueError: The model has no such layer, or none with places.
    """
    if asked is None:
        found = find_target_layer(model, images, score=score, layout=layout)
        return found, layer_names(model)[found]
    return named_layer(model, asked)


def named_layer(model: nn.Module, asked: str | nn.Module, *, argument: str = "target_layer") -> tuple[str, nn.Module]:
    """Return a layer with its name.

    Args:
        model: Any module.
        asked: The layer's name, with or without a checkpoint's `network.`, or along a property of the network's such
            as `stages.3`; or the module itself.
        argument: What the caller's argument is called, for the messages.

    Raises:
        TypeError: `asked` is something else.
        ValueError: The model has no such layer.
    """
    names = layer_names(model)
    if isinstance(asked, nn.Module):
        inner = uncompiled(asked)
        name = next((name for name, module in names.items() if module is inner), None)
        if name is None:
            raise ValueError(f"`{argument}` must be a part of `model`, and this {type(inner).__name__} is none")
        return name, inner
    if not isinstance(asked, str):
        raise TypeError(f"`{argument}` must be a module's name or a module, got {type(asked).__name__}")
    name = asked.removeprefix("network.") if isinstance(uncompiled(model), Classifier) else asked
    layer = names.get(_plain(name)) or _along_properties(_root(model), name)
    if layer is None:
        # Where a network's weights have other names, its stages are no submodules.
        stages = (f"stages.{number}" for number in range(len(getattr(_root(model), "stages", ()))))
        raise unknown_name(argument, asked, [*names, *stages])
    return asked, layer


@left_as_before
def find_target_layer(
    model: nn.Module,
    images: Tensor,
    *,
    score: Score | None = None,
    layout: MapLayout | None = None,
    forward: ForwardFunction | None = None,
) -> str:
    """Return the name of the last layer with places that all that is explained goes through.

    One image is followed through the model; `trace_maps` says what counts as a map. A head that joins maps of several
    depths leaves no such layer but at the very beginning; then it is the last map of all. Where the next block starts
    with a layer normalization of that map, it is the normalized one, as in ViT: what is normalized feels no gradient
    along itself, so that HiResCAM of it is zero at every place.

    The layer is looked for once for a model, an image size and a score, and again when the model's modules change.

    Args:
        model: Any module.
        images: (N, C, H, W).
        score: From the model's output to one number for each image; None for logits, or where the output is something
            else for everything that is in it.
        layout: As `heatmaps` takes it.
        forward: (model, images) -> output, where the model takes more than images.

    Raises:
        ValueError: No layer gives a map with more than one place, a later one has places of unknown layout, or no
            gradients lead through the model.
    """
    model = called_by(model, forward)
    if layout is not None:
        check_layout(layout)
    asked = identity_of(score), identity_of(layout) if callable(layout) else layout or "measured"
    key = None if None in asked else ("target layer", *asked, tuple(images.shape[1:]))
    return remembered(model, key, lambda: _found_layer(model, images, score, layout))


def _found_layer(model: nn.Module, images: Tensor, score: Score | None, layout: MapLayout | None) -> str:
    pick = None if score is None else partial(pick_scores, score=score)
    layers = layer_names(model)
    try:
        passed = trace_maps(model, layers, images, pick=pick, layout=layout)
    except RuntimeError as error:
        raise_why_blind(model, images, layers, error)
        raise
    maps = [one for one in passed if one.places]
    if maps:
        crossed = [one for one in maps if one.on_every_path and one.places <= _DEPTHS * maps[-1].places]
        chosen = (crossed or maps)[-1]
        _check_nothing_later(passed, chosen)
        return next((one.name for one in maps if one.normalized_from == chosen.name), chosen.name)
    if layout is not None:
        raise ValueError("`layout` must fit a layer of `model`, but fits none; name the layer with `target_layer`")
    raise_why_blind(model, images, layers)
    size = "×".join(map(str, images.shape[2:]))
    raise ValueError(
        f"`model` has no layer that makes a map with more than one place of images of {size} pixels; "
        "give larger images, or a model with convolutions or patches"
    )


def _check_nothing_later(passed: list[PassedMap], chosen: PassedMap) -> None:
    """Refuse to go back to an early layer only because later ones cannot be read."""
    later = [one for one in passed[passed.index(chosen) + 1 :] if one.on_every_path and not one.places]
    if later:
        raise ValueError(
            f"`target_layer` must be named: the last layer whose places could be told is {chosen.name}, but "
            f"{later[-1].name} comes after it, and how its places are laid out is unknown; "
            "name a layer, and say with `layout` how it is laid out"
        )


def _root(model: nn.Module) -> nn.Module:
    """The network that names count from: without the wrappers of a checkpoint and of the compiler."""
    plain = uncompiled(model)
    return uncompiled(plain.network if isinstance(plain, Classifier) else plain)


def _plain(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def _along_properties(root: nn.Module, name: str) -> nn.Module | None:
    """The module at the end of a path over attributes and indices."""
    found: Any = root
    for part in name.split("."):
        try:
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        except (AttributeError, IndexError, TypeError):
            return None
    return found if isinstance(found, nn.Module) else None
