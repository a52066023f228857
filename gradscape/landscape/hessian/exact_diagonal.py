"""The exact diagonal of the Hessian of networks whose outputs are straight lines along every layer's weights."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape.landscape.engine import Batch
from gradscape.landscape.engine.reached import wave
from gradscape.landscape.hessian.course import Course
from gradscape.landscape.hessian.differentiation import Differentiated, Tensors
from gradscape.landscape.hessian.layers import TappedLayers, own_layers
from gradscape.landscape.hessian.products import HessianProducts

__all__ = ["ExactDiagonal", "exact_diagonal", "why_not_exact"]

_BENT = 1e-3  # of what is compared: rounding gives about 1e-6
_ROUNDING = 100  # units in the last place
_MOST_OUTPUTS = 200  # each takes a backward pass
_PROBED = 4

_log = logging.getLogger(__name__)


@final
@dataclass(frozen=True, eq=False)
class ExactDiagonal:
    """Diagonal entries of the Hessian.

    Attributes:
        diagonal: Of the mean loss, by parameter, in double.
        traces: Of each image's own Hessian, (images, parameters): sums over the scalars of a parameter.
    """

    diagonal: Mapping[str, Tensor]
    traces: Float[np.ndarray, "images parameters"]


def why_not_exact(products: HessianProducts) -> str:
    """Why the diagonal cannot be had exactly, in words; "" where it can.

    On a few images the second derivatives of outputs and losses are measured along every parameter tensor by itself.
    Where outputs have none, and those of the losses are those of the outputs' straight lines, diag H is that of the
    Gauss-Newton matrix. Whether what a layer is given and gives tells all of the gradients by its parameters is
    measured too: others may share them, or the model may use them without calling the layer.
    """
    layers = own_layers(products.model, products.names)
    if layers is None:
        return "it has parameters outside of convolutions, linear layers and batch norms"
    few = next(products.part(np.arange(min(_PROBED, products.images))).batches())
    try:
        with products.ready() as differentiated:
            outputs = differentiated.outputs(differentiated.leaves(), few)
            if not isinstance(outputs, Tensor) or len(outputs) != few.count or outputs[0].numel() > _MOST_OUTPUTS:
                return f"its outputs are no tensor of up to {_MOST_OUTPUTS} numbers an image"
            bent = next((name for name in products.names if _is_bent(differentiated, name, few)), None)
            if bent is None and (elsewhere := _used_elsewhere(differentiated, layers, few)):
                return f"{elsewhere} is used otherwise than by one call of its layer"
    except (NotImplementedError, RuntimeError) as problem:
        return f"torch has no forward derivative of it ({str(problem).splitlines()[0]})"
    return f"its outputs are no straight lines along {bent}" if bent else ""


def exact_diagonal(products: HessianProducts, course: Course) -> ExactDiagonal:
    """Compute the diagonal, of a model of which `why_not_exact` says nothing.

    H_ii of an image is Σ_c λ_c (∂(u_cᵀf)/∂θ_i)² with the eigenvectors u_c and eigenvalues λ_c of the Hessian of its
    loss by its outputs f: a backward pass for each of these, shared by all layers.

    Raises:
        ValueError: A layer is called more than once in a forward pass.
        OutOfTimeError: The time is over before; batches that are done are kept.

    Source: Botev et al. 2017 (diagonal Gauss-Newton); Dangel et al. 2020 (layer by layer); Singla et al. 2019 (no
    second derivatives in piecewise linear networks).
    """
    totals = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in products.named_shapes.items()}
    traces = []
    for number, batch in enumerate(products.batches()):
        kept = course.load(f"diagonal/batch{number:04d}")
        if kept is None:
            course.check_time()
            with products.ready() as differentiated:
                kept = _of_batch(products, differentiated, batch)
            course.save(f"diagonal/batch{number:04d}", kept)
        traces.append(kept["traces"])
        for index, name in enumerate(products.names):
            totals[name] += torch.from_numpy(kept[str(index)])
        course.tell("trace", sum(map(len, traces)), products.images)
    return ExactDiagonal({name: one / products.images for name, one in totals.items()}, np.concatenate(traces))


def _of_batch(products: HessianProducts, differentiated: Differentiated, batch: Batch) -> dict[str, np.ndarray]:
    layers = own_layers(products.model, products.names)
    assert layers is not None
    totals: Tensors = {}
    traces: Tensors = {}
    with torch.enable_grad(), TappedLayers(layers) as tapped:
        outputs = differentiated.outputs(differentiated.leaves(), batch)
        if tapped.called_again:
            raise ValueError("`model` must call every layer once in a forward pass for its exact trace")
        weights, cotangents = _factors(differentiated, outputs, batch)
        used = [name for name in layers if name in tapped.outputs]
        columns = {name: tapped.unfolded(name) for name in used}
        for index in range(weights.shape[1]):
            back = torch.autograd.grad(
                outputs, [tapped.outputs[name] for name in used], cotangents[..., index].reshape(outputs.shape),
                retain_graph=True, materialize_grads=True,
            )  # fmt: skip
            for name, one in zip(used, back, strict=True):
                for sums, found in zip(
                    (totals, traces), tapped.squares(name, columns[name], one, weights[:, index]), strict=True
                ):
                    for own, value in found.items():
                        full = f"{name}.{own}".removeprefix(".")
                        sums[full] = sums[full] + value if full in sums else value
    nothing = torch.zeros(batch.count, dtype=torch.float64)
    stacked = torch.stack([traces.get(name, nothing).cpu() for name in products.names], dim=1)
    of_shape = products.named_shapes
    entries = {
        str(index): totals.get(name, torch.zeros(of_shape[name], dtype=torch.float64)).cpu().numpy()
        for index, name in enumerate(products.names)
    }
    return {"traces": stacked.numpy(), **entries}


def _factors(differentiated: Differentiated, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Eigenvalues (images, K) and eigenvectors (images, outputs, K) of each loss's Hessian by its outputs."""
    curved = _output_hessians(differentiated, outputs, batch)
    values, vectors = torch.linalg.eigh(curved)
    rounding = values.abs().amax() * curved.shape[1] * torch.finfo(outputs.dtype).eps
    kept = (values.abs() > rounding).any(dim=0)  # a softmax has one that is 0, whatever the image
    return values[:, kept], vectors[..., kept].to(outputs)


def _output_hessians(differentiated: Differentiated, outputs: Tensor, batch: Batch) -> Tensor:
    """∂²l_i/∂f∂f of each image, (images, outputs, outputs) in double."""
    flat = outputs.detach().double().reshape(len(outputs), -1).requires_grad_()
    losses = differentiated.losses_of(flat.reshape(outputs.shape), batch)
    (slopes,) = torch.autograd.grad(losses.sum(), flat, create_graph=True)
    if not slopes.requires_grad:
        return torch.zeros(*flat.shape, flat.shape[1], dtype=torch.float64, device=flat.device)
    columns = range(flat.shape[1])
    rows = [
        torch.autograd.grad(slopes[:, c].sum(), flat, retain_graph=True, materialize_grads=True)[0] for c in columns
    ]
    return torch.stack(rows, dim=1).detach()


def _used_elsewhere(differentiated: Differentiated, layers: dict[str, nn.Module], batch: Batch) -> str:
    """A parameter of whose gradient its layer's one call does not tell all; "" if there is none."""
    with torch.enable_grad(), TappedLayers(layers) as tapped:
        leaves = differentiated.leaves()
        outputs = differentiated.outputs(leaves, batch)
        used = [name for name in layers if name in tapped.outputs]
        places, along = [*leaves.values(), *(tapped.outputs[name] for name in used)], wave(outputs.detach())
        found = torch.autograd.grad(outputs, places, along, materialize_grads=True)
    told = {
        f"{name}.{own}".removeprefix("."): one.sum(dim=0)
        for name, back in zip(used, found[len(leaves) :], strict=True)
        for own, one in tapped.gradients(name, tapped.unfolded(name), back).items()
    }
    for name, whole in zip(leaves, found, strict=False):
        rest = whole - told[name].reshape(whole.shape) if name in told else whole
        if not float(rest.norm()) <= _BENT * float(whole.norm()):
            return name
    return ""


def _is_bent(differentiated: Differentiated, name: str, batch: Batch) -> bool:
    """Whether outputs bend along a tensor, or losses otherwise than along the outputs' straight lines."""
    leaves = {own: one.detach() for own, one in differentiated.leaves().items()}
    fixed = {own: one for own, one in leaves.items() if own != name}
    generator = torch.Generator().manual_seed(0)
    direction = {name: torch.randn(leaves[name].shape, generator=generator, dtype=torch.float64).to(leaves[name])}

    def both(moved: Tensors) -> tuple[Tensor, Tensor]:
        tensors = {**fixed, **moved}
        return differentiated.outputs(tensors, batch), differentiated.losses(tensors, batch)

    def slopes(moved: Tensors) -> tuple[Tensor, Tensor]:
        return torch.func.jvp(both, (moved,), (direction,))[1]

    with torch.no_grad():
        (first, _), (second, curvature) = _twice(slopes, {name: leaves[name]}, direction)
        outputs = differentiated.outputs(leaves, batch)
    first = first.double().reshape(len(first), -1)
    if bool(second.double().abs().max() > _BENT * first.abs().max()):
        return True
    with torch.enable_grad():
        expected = torch.einsum("na,nab,nb->n", first, _output_hessians(differentiated, outputs, batch), first)
    # Where answers are sure, curvature is the small difference of large numbers.
    rounding = _ROUNDING * torch.finfo(outputs.dtype).eps * float(first.square().sum(dim=1).max())
    return bool((curvature.double() - expected).abs().max() > _BENT * expected.abs().max() + rounding)


def _twice(slopes: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors, direction: Tensors) -> Any:
    """First and second derivatives."""
    return torch.func.jvp(slopes, (at,), (direction,))
