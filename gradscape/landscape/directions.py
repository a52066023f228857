"""Directions in parameter space: random ones, normalized per filter, and the straight way to another network."""

import hashlib
import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from gradscape._model_state import check_made
from gradscape.landscape.alike import check_alike, differing_constants
from gradscape.landscape.movable import Space, bare_name, chosen_names, differing_unmovable, is_movable, moving_tensors

__all__ = [
    "Direction",
    "DirectionSummary",
    "Ignore",
    "Normalize",
    "TransposedFilters",
    "difference_direction",
    "gaussian",
    "random_directions",
    "summarize_direction",
]

Direction = dict[str, Tensor]
Normalize = Literal["filter", "layer", "weight", "dfilter", "dlayer", "none"]
Ignore = Literal["biasbn", "none"]
TransposedFilters = Literal["output", "input"]

_NORMALIZATIONS = ("filter", "layer", "weight", "dfilter", "dlayer", "none")
_EPSILON = 1e-10

_log = logging.getLogger(__name__)


def random_directions(
    model: nn.Module,
    *,
    seed: int,
    normalize: Normalize = "filter",
    ignore: Ignore = "biasbn",
    space: Space = "weights",
    parameters: str = "*",
    transposed_filters: TransposedFilters = "output",
) -> tuple[Direction, Direction]:
    """Two independent Gaussian directions, scaled to the model's own weights.

    A filter is one output channel of a convolution or one row of a matrix; "filter" rescales each to the
    norm of the model's: d_i ← d_i · ‖w_i‖/(‖d_i‖ + 1e-10). Tensors with fewer than two dimensions (biases,
    batch-norm scales and shifts, running statistics) have no filters: they stay in place (`ignore="biasbn"`)
    or move along themselves, d = w (`ignore="none"`). Directions of complex weights are complex.

    Args:
        model: The network; it is only read.
        seed: Chooses the pair. Each tensor draws from (seed, its name), so that neither torch's global random
            state, nor the device, nor the order in which modules were built matters.
        normalize: "filter" and "layer" give the norm of the filter or tensor, "weight" multiplies by the weights,
            "dfilter" and "dlayer" give norm 1, "none" leaves the Gaussian as drawn.
        ignore: What happens to tensors with fewer than two dimensions.
        space: "weights" moves parameters only; "states" also what else the state dict holds in real or complex numbers
            (batch norm's running statistics), as far as `ignore` lets it.
        parameters: Shell patterns, separated by spaces or commas; tensors whose name (within the network) matches none
            stay in place, and so do those that match a pattern with `!` before it: `"!head*"` is all but the head,
            `"lora_*, !*.bias"` both at once. `"trainable"` means all that require gradients.
        transposed_filters: Transposed convolutions store their input channels first. "output" still takes one
            filter per output channel; "input" takes dimension 0, as the original tool does.

    Returns:
        (d_alpha, d_beta): for each moving tensor its direction, of the tensor's shape, type and device.

    Raises:
        ValueError: An option is unknown, `parameters` matches nothing that moves, or it means weights that cannot move
            (quantized ones, integers, matrices that are no parameters).

    Source: Li et al., Visualizing the Loss Landscape of Neural Nets (2018), section 4.

    Example:
        >>> import torch
        >>> net = torch.nn.Linear(12, 3)
        >>> d_alpha, d_beta = random_directions(net, seed=0)
        >>> {name: tuple(tensor.shape) for name, tensor in d_alpha.items()}
        {'weight': (3, 12), 'bias': (3,)}
        >>> torch.allclose(d_alpha["weight"].norm(dim=1), net.weight.norm(dim=1))  # each row as long as the network's
        True
    """
    _check_options(normalize, ignore, space, transposed_filters)
    moving = dict(moving_tensors(model, space))
    names = chosen_names(model, moving, parameters)
    chosen = {name: tensor for name, tensor in moving.items() if name in names and is_movable(tensor)}
    if ignore == "biasbn" and all(tensor.dim() < 2 for tensor in chosen.values()):
        raise ValueError(
            f"`parameters` {parameters!r} means tensors of one dimension alone, which all stay in place: "
            '`ignore`="none" lets them move'
        )
    groups = _output_first_groups(model, transposed_filters)
    pair = []
    for axis in ("alpha", "beta"):
        direction = {name: torch.zeros_like(tensor) for name, tensor in moving.items()}
        for name, weight in chosen.items():
            if weight.dim() > 1:
                drawn = gaussian(weight, seed, axis, name)
                direction[name] = _normalized(drawn, weight, normalize, groups.get(name)).to(weight)
            elif ignore == "none":
                direction[name] = weight.clone()
        pair.append(direction)
    report = summarize_direction(model, pair[0])
    _log.info("%s", report)
    return pair[0], pair[1]


def difference_direction(model: nn.Module, other: nn.Module, *, space: Space = "states") -> Direction:
    """The straight way from one network to another: θ + 1·d is `other`. Never normalized, never masked.

    Args:
        model: Where alpha is 0.
        other: Where alpha is 1; the same architecture.
        space: "states" (the default, so that alpha = 1 is the other network up to rounding) takes running statistics
            along, and constants in which the networks differ, such as the mean and deviation that images are
            normalized by; "weights" leaves the running statistics of `model`.

    Raises:
        ValueError: The networks do not have the same tensors, hold different integers, have weights that cannot move
            (quantized ones, say), or differ in constants that `space` leaves, so that alpha = 1 would be neither.

    Example:
        >>> import torch
        >>> first, second = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
        >>> direction = difference_direction(first, second)
        >>> torch.allclose(first.weight + direction["weight"], second.weight)
        True
    """
    check_made(model)
    check_made(other, argument="other")
    if stuck := differing_unmovable(model, other):
        raise ValueError(
            f"`model` and `other` must hold their weights in parameters that can move, but these would stay those of "
            f"`model`: {', '.join(stuck[:5])}"
        )
    first, second = dict(moving_tensors(model, space)), dict(moving_tensors(other, space))
    check_alike(first, second)
    constants = differing_constants(model, other)
    if constants and space == "weights":
        raise ValueError(
            f"`space` must be states, as the networks differ in {', '.join(constants)}, which no weights are: "
            "alpha = 1 would be neither of them"
        )
    return {**{name: second[name].to(tensor) - tensor for name, tensor in first.items()}, **constants}


@dataclass(frozen=True)
class DirectionSummary:
    """What a direction moves and what it leaves.

    Attributes:
        moved: Number of scalars that move.
        total: Number of scalars in the tensors of the direction.
        still: Names of tensors that stay in place.
        one_element_filters: Names of moved tensors whose filters have one element, so that filter
            normalization leaves only a sign to chance.
    """

    moved: int
    total: int
    still: tuple[str, ...]
    one_element_filters: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.moved:,} of {self.total:,} values move; {len(self.still)} tensors stay in place"
        if self.one_element_filters:
            text += f"; filters of one element, which keep their size: {', '.join(self.one_element_filters)}"
        return text


def summarize_direction(model: nn.Module, direction: Direction) -> DirectionSummary:
    """Tell what a direction moves in this model."""
    moved = {name: tensor for name, tensor in direction.items() if bool(tensor.any())}
    groups = _output_first_groups(model, "output")
    single = (
        name
        for name, tensor in moved.items()
        if tensor.dim() > 1 and _filter_norms(tensor, groups.get(name)).numel() == tensor.numel()
    )
    return DirectionSummary(
        moved=sum(tensor.numel() for tensor in moved.values()),
        total=sum(tensor.numel() for tensor in direction.values()),
        still=tuple(name for name in direction if name not in moved),
        one_element_filters=tuple(single),
    )


def _check_options(normalize: str, ignore: str, space: str, transposed_filters: str) -> None:
    allowed = {
        "normalize": (normalize, _NORMALIZATIONS),
        "ignore": (ignore, ("biasbn", "none")),
        "space": (space, ("weights", "states")),
        "transposed_filters": (transposed_filters, ("output", "input")),
    }
    for argument, (value, values) in allowed.items():
        if value not in values:
            raise ValueError(f"`{argument}` must be one of {', '.join(values)}, got {value!r}")


def gaussian(weight: Tensor, seed: int, axis: str, name: str) -> Tensor:
    """Standard normal numbers of a tensor's shape in double, drawn from (seed, axis, name); complex for complex."""
    key = hashlib.sha256(f"{seed} {axis} {bare_name(name)}".encode()).digest()
    generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key[:16])))
    parts = [
        torch.from_numpy(generator.standard_normal(weight.shape, dtype=np.float32)).to(weight.device).double()
        for _ in range(1 + weight.is_complex())
    ]
    return torch.complex(*parts) / 2**0.5 if weight.is_complex() else parts[0]


def _normalized(drawn: Tensor, weight: Tensor, normalize: Normalize, groups: int | None) -> Tensor:
    weight = weight.to(drawn.dtype)
    if normalize == "none":
        return drawn
    if normalize == "weight":
        return drawn * weight
    if normalize == "layer":
        return drawn * weight.norm() / drawn.norm()
    if normalize == "dlayer":
        return drawn / drawn.norm()
    filters, drawn_norms = _filters_first(drawn, groups), _filter_norms(drawn, groups)
    wanted = _filter_norms(weight, groups) if normalize == "filter" else 1.0
    return _filters_last(filters * wanted / (drawn_norms + _EPSILON), groups)


def _output_first_groups(model: nn.Module, transposed_filters: TransposedFilters) -> dict[str, int]:
    """Groups of each transposed convolution's weight by name, where filters are taken by output channel."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if transposed_filters == "input":
        return {}
    modules = ((name, module) for name, module in model.named_modules() if isinstance(module, transposed))
    return {f"{name}.weight".removeprefix("."): module.groups for name, module in modules}


def _filters_first(tensor: Tensor, groups: int | None) -> Tensor:
    """Filter dimensions to the front; a transposed convolution's (in, out/groups, …) becomes (groups, out, in, …)."""
    return tensor if groups is None else tensor.unflatten(0, (groups, -1)).transpose(1, 2)


def _filters_last(tensor: Tensor, groups: int | None) -> Tensor:
    return tensor if groups is None else tensor.transpose(1, 2).flatten(0, 1)


def _filter_norms(tensor: Tensor, groups: int | None) -> Tensor:
    filters = _filters_first(tensor, groups)
    inner = tuple(range(1 if groups is None else 2, filters.dim()))
    return torch.linalg.vector_norm(filters, dim=inner, keepdim=True)
