"""Alignment: a network whose channels are brought into the order of another's, and computes the same as before."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device
from gradscape.landscape.alike import check_alike
from gradscape.landscape.engine import evaluable, map_tensors, tensors_in
from gradscape.landscape.movable import moving_tensors
from gradscape.landscape.paths.matching import inner_product, match_weights
from gradscape.landscape.paths.symmetry import ChannelGroups, Permutations, find_channel_groups, permuted

__all__ = ["Alignment", "align"]

_PROBES = 8  # images
_EXACT = 1e-9  # of the largest output, in double precision
_SINGLE = 1e-4  # where a network computes in no other than single precision

Network = TypeVar("Network", bound=nn.Module)


@final
@dataclass(frozen=True, eq=False)
class Alignment:
    """How the channels of one network were brought into the order of another's.

    The objective is the inner product ⟨θ_A, P(θ_B)⟩ over all parameters; the distance of the networks falls as it
    rises, since permutations keep lengths.

    Attributes:
        objective_before: Of the networks as they were.
        objectives: What each restart reached, (restarts,); the best was taken.
        cosine_before: Cosine of both networks' parameters as they were.
        cosine: And afterwards.
        permutations: By group of channels, whose place the content of each comes from, (channels,).
        fixed: Layers whose channels stay, and why.
        deviation: Largest change of an output by the permutation, as a share of the largest output: rounding.
        seed: Chose the orders of the restarts.
    """

    objective_before: float
    objectives: Float[np.ndarray, "restarts"]
    cosine_before: float
    cosine: float
    permutations: Permutations
    fixed: Mapping[str, str]
    deviation: float
    seed: int

    @property
    def objective(self) -> float:
        """The best that a restart reached."""
        return float(self.objectives.max())

    @property
    def spread(self) -> float:
        """Of the restarts: (best − worst)/|worst|."""
        worst = float(self.objectives.min())
        return (self.objective - worst) / abs(worst) if worst else 0.0

    def to_entry(self) -> dict[str, Any]:
        """As it stands in the provenance of a line: plain JSON."""
        return {
            "objective_before": self.objective_before,
            "objectives": self.objectives.tolist(),
            "cosine_before": self.cosine_before,
            "cosine": self.cosine,
            "groups": {name: len(order) for name, order in self.permutations.items()},
            "fixed": dict(self.fixed),
            "deviation": self.deviation,
            "seed": self.seed,
        }


@left_as_before
def align(
    model: nn.Module, other: Network, *, restarts: int = 10, seed: int = 0, inputs: Any = None
) -> tuple[Network, Alignment]:
    """Bring the channels of `other` into the order in which they are most like those of `model`, by weight matching.

    Which channels can change places is read from the network's graph: they go together through norms (weights and
    running statistics), sums, shortcuts, joins and flattening. Channels of inputs and outputs stay, and so do those
    that enter what is not understood (attention heads, say), which `Alignment.fixed` tells. Whether the permuted
    network computes the same is measured, in double precision where it can.

    Args:
        model: Whose order is taken; it is only read.
        other: The same architecture; it is only read.
        restarts: How often the matching begins anew, with its groups of channels in another order.
        seed: Of these orders.
        inputs: At least two images as the networks take them; by default random ones of `model.image_size`.

    Returns:
        A copy of `other` with permuted channels, and how it came about.

    Raises:
        ValueError: The networks have other tensors, they cannot be written as a graph, no image is known, no channels
            can change places, or the permuted network does not compute the same.

    Source: Ainsworth et al. 2023, "Git Re-Basin: Merging Models modulo Permutation Symmetries" (arXiv:2209.04836),
        algorithm 1.

    Example:
        >>> import torch
        >>> def net(order):
        ...     net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
        ...     weights = torch.tensor([[1.0, 2.0], [3.0, 5.0], [8.0, 13.0]])[order]
        ...     net.load_state_dict({"0.weight": weights, "0.bias": weights[:, 0], "2.weight": weights.T,
        ...                          "2.bias": torch.zeros(2)})
        ...     return net
        >>> aligned, alignment = align(net([0, 1, 2]), net([2, 0, 1]), inputs=torch.rand(4, 2))
        >>> aligned[0].weight[0].tolist(), round(alignment.cosine, 6)
        ([1.0, 2.0], 1.0)
    """
    if restarts < 1:
        raise ValueError(f"`restarts` must be at least 1, got {restarts}")
    check_alike(dict(moving_tensors(model, "states")), dict(moving_tensors(other, "states")))
    images = _probes(model, inputs, seed)
    with evaluable(model):
        groups = find_channel_groups(model, images)
    if not groups.sizes:
        raise ValueError(f"`model` must have channels that can change places, but all stay: {_told(groups)}")
    first, second = _parameters(model), _parameters(other)
    found: list[tuple[float, Permutations]] = []
    for restart in range(restarts):
        permutations = match_weights(first, second, groups, np.random.default_rng([seed, restart]))
        found.append((inner_product(first, second | groups.permuted(second, permutations)), permutations))
    best, permutations = max(found, key=lambda one: one[0])
    aligned = permuted(other, groups, permutations)
    deviation = _check_same(other, aligned, images)
    lengths = (inner_product(first, first) * inner_product(second, second)) ** 0.5
    before = inner_product(first, second)
    return aligned, Alignment(
        objective_before=before,
        objectives=np.array([objective for objective, _ in found]),
        cosine_before=before / lengths,
        cosine=best / lengths,
        permutations=permutations,
        fixed=groups.fixed,
        deviation=deviation,
        seed=seed,
    )


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    parameters = ((name, parameter.detach().cpu()) for name, parameter in model.named_parameters())
    return {name: (torch.view_as_real(one) if one.is_complex() else one).double() for name, one in parameters}


def _probes(model: nn.Module, inputs: Any, seed: int) -> Any:
    """Images by which the networks are compared, on the device of the model."""
    if inputs is None:
        size, mean = getattr(model, "image_size", None), getattr(model, "mean", None)
        if not isinstance(size, int):
            raise ValueError("`inputs` must be given, at least two images: `model` does not tell the size of its own")
        channels = mean.shape[1] if isinstance(mean, Tensor) else 3
        inputs = torch.rand(_PROBES, channels, size, size, generator=torch.Generator().manual_seed(seed))
    device = model_device(model)
    images = map_tensors(lambda tensor: tensor[:_PROBES].to(device, copy=True), inputs)
    if any(len(tensor) < 2 for tensor in tensors_in(images)):
        raise ValueError("`inputs` must hold at least two images")
    return images


def _check_same(other: nn.Module, aligned: nn.Module, images: Any) -> float:
    """Refuse a permutation that changes what a network computes; return by how much rounding did."""
    images = map_tensors(lambda tensor: tensor.to(model_device(other)), images)
    try:
        pair = [_outputs(copy.deepcopy(one).double(), _doubles(images)) for one in (other, aligned)]
        allowed = _EXACT
    except RuntimeError:  # such as a constant in single precision that its code makes
        pair, allowed = [_outputs(copy.deepcopy(one), images) for one in (other, aligned)], _SINGLE
    own, theirs = pair
    scale = float(own.abs().max())
    deviation = float((own - theirs).abs().max()) / (scale or 1.0)
    if not deviation <= allowed:
        raise ValueError(
            f"`other` must compute the same with its channels in another order, but an output changes by "
            f"{deviation:.2g} of the largest: the network uses the places of channels in a way that its graph does not "
            "show, so that it cannot be aligned"
        )
    return deviation


def _outputs(model: nn.Module, images: Any) -> Tensor:
    with evaluable(model), torch.no_grad():
        outputs = [tensor for tensor in tensors_in(model(images)) if tensor.is_floating_point()]
    return torch.cat([tensor.double().flatten() for tensor in outputs])


def _doubles(images: Any) -> Any:
    return map_tensors(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor, images)


def _told(groups: ChannelGroups) -> str:
    return ", ".join(f"{name} ({why})" for name, why in list(groups.fixed.items())[:5])
