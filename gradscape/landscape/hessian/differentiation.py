"""Second derivatives of a model's losses along a direction: forward over reverse where a model allows it."""

import importlib
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from gradscape._substitution import called_with
from gradscape.landscape.engine import Batch, map_tensors, tensors_in
from gradscape.landscape.engine.reached import wave
from gradscape.landscape.engine.task import Task

__all__ = ["Differentiated", "Tensors"]

Tensors = dict[str, Tensor]

_AGREES = 1e-2  # of what is compared: both ways differ by rounding alone
_ROUNDING = 1e3  # units in the last place of squares of the outputs' derivatives, of which Hessians are made

_log = logging.getLogger(__name__)


@final
class _Judged(nn.Module):
    """A model with its loss, so that the loss sees the same tensors as the model."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model, self._task = model, task

    def forward(self, inputs: Any, labels: Any | None) -> Any:
        """Losses of the images; their outputs where there are no labels."""
        outputs = self._task.forward(self.model, inputs)
        return outputs if labels is None else self.judge(outputs, labels)

    def judge(self, outputs: Any, labels: Any) -> Tensor:
        return self._task.loss(outputs, labels).reshape(-1) / self._task.mean_weight


@final
class Differentiated:
    """Losses as a function of some parameters, to be differentiated twice.

    The model's own tensors are never touched: derivatives are taken with respect to views of them.

    Args:
        model: In `eval()`.
        task: Loss and forward pass.
        names: The parameters.
        probe: A few images, on which the ways to differentiate are tried and compared.

    Raises:
        ValueError: Nothing depends on the parameters, or a part of the model has no second derivative.

    Source: Pearlmutter 1994 (products without the matrix); Griewank and Walther 2008, section 3 (forward over reverse
    takes about two thirds of the arithmetic of reverse over reverse).
    """

    def __init__(self, model: nn.Module, task: Task, names: tuple[str, ...], probe: Batch) -> None:
        self._judged, self.names = _Judged(model, task), names
        parameters = dict(model.named_parameters())
        direction = {name: wave(parameters[name].detach()) for name in names}
        exact = self._explained(direction, probe)
        alone = torch.stack([_inner(self._reverse_product(direction, one), direction) for one in _single(probe)])
        self.product: Callable[[Tensors, Batch], Tensors] = self._reverse_product
        self.image_forms: Callable[[Tensors, Batch], Tensor] = self._forms_one_by_one
        forward, nested, slopes = self._tried(direction, probe)
        length = float(_inner(direction, direction).sqrt())
        rounding = _ROUNDING * torch.finfo(next(iter(direction.values())).dtype).eps * slopes
        if forward is not None:
            difference = {name: one - exact[name] for name, one in forward.items()}
            _check_agreement(_inner(difference, difference).sqrt(), _inner(exact, exact).sqrt(), rounding / length)
            self.product = self._forward_product
        if nested is not None:
            _check_agreement((nested - alone).norm(), length * _inner(exact, exact).sqrt(), rounding)
            self.image_forms = self._nested_forms
        if forward is None or nested is None:
            _log.info("a part of the model has no forward derivative: Hessian products take about half as long again")

    def _tried(self, direction: Tensors, probe: Batch) -> tuple[Tensors | None, Tensor | None, float]:
        """What the faster ways give, and the size of the outputs' derivatives.

        None where an operator lacks such a derivative, whatever it then raises.
        """
        forward, nested, slopes = None, None, 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, of scripts among its rules
            importlib.import_module("torch._decomp.decompositions_for_jvp")
        tensors = {name: one.detach() for name, one in self.leaves().items()}
        with suppress(Exception):
            tangents = torch.func.jvp(lambda moved: self.outputs(moved, probe), (tensors,), (direction,))[1]
            slopes = sum(float(one.double().square().sum()) for one in tensors_in(tangents))
        with suppress(Exception):
            forward = self._forward_product(direction, probe)
        with suppress(Exception):
            nested = self._nested_forms(direction, probe)
        return forward, nested, slopes

    def losses(self, tensors: Mapping[str, Tensor], batch: Batch) -> Tensor:
        """Loss of each image, (count,), with these tensors in place of the parameters."""
        return self._called(tensors, batch.inputs, batch.labels)

    def outputs(self, tensors: Mapping[str, Tensor], batch: Batch) -> Any:
        """What the model gives for the images, with these tensors in place of the parameters."""
        return self._called(tensors, batch.inputs, None)

    def losses_of(self, outputs: Any, batch: Batch) -> Tensor:
        """Loss of each image, (count,), from what the model gave for it."""
        return self._judged.judge(outputs, batch.labels)

    def leaves(self) -> Tensors:
        """Views of the parameters as they are now, to differentiate by."""
        parameters = dict(self._judged.model.named_parameters())
        return {name: parameters[name].detach().requires_grad_() for name in self.names}

    def _called(self, tensors: Mapping[str, Tensor], inputs: Any, labels: Any | None) -> Any:
        renamed = {f"model.{name}": tensor for name, tensor in tensors.items()}
        return called_with(self._judged, renamed, inputs, labels)

    def _forward_product(self, direction: Tensors, batch: Batch) -> Tensors:
        """The sum of the images' Hessians times a direction."""
        with torch.enable_grad(), forward_ad.dual_level():
            moving = {name: forward_ad.make_dual(one, direction[name]) for name, one in self.leaves().items()}
            total = self.losses(moving, batch).sum()
            gradients = torch.autograd.grad(total, list(moving.values()), materialize_grads=True)
            tangents = [forward_ad.unpack_dual(one).tangent for one in gradients]
        found = zip(self.names, tangents, strict=True)
        return {
            name: torch.zeros_like(direction[name]) if tangent is None else tangent.detach() for name, tangent in found
        }

    def _reverse_product(self, direction: Tensors, batch: Batch, *, checked: bool = False) -> Tensors:
        with torch.enable_grad():
            leaves = self.leaves()
            at = list(leaves.values())
            total = self.losses(leaves, batch).sum()
            gradients = torch.autograd.grad(total, at, create_graph=True, materialize_grads=True)
            if checked and _is_cut(gradients):
                raise ValueError(
                    "`model` must be twice differentiable, with its loss, but a part of it is `once_differentiable`: "
                    "leave the parameters before it out, or write its backward pass so that it can be differentiated"
                )
            along = sum((one * direction[name]).sum() for name, one in zip(self.names, gradients, strict=True))
            if not isinstance(along, Tensor) or not along.requires_grad:  # a loss that is linear in its parameters
                return {name: torch.zeros_like(direction[name]) for name in self.names}
            products = torch.autograd.grad(along, at, materialize_grads=True)
        return {name: one.detach() for name, one in zip(self.names, products, strict=True)}

    def _nested_forms(self, direction: Tensors, batch: Batch) -> Tensor:
        """vᵀH_iv of each image i, (count,): the second derivative of its loss along a direction."""
        tensors = {name: one.detach() for name, one in self.leaves().items()}

        def slope(moved: Tensors) -> Tensor:
            return torch.func.jvp(lambda inner: self.losses(inner, batch), (moved,), (direction,))[1]

        with torch.no_grad():
            return torch.func.jvp(slope, (tensors,), (direction,))[1].double()

    def _forms_one_by_one(self, direction: Tensors, batch: Batch) -> Tensor:
        products = (self._reverse_product(direction, image) for image in _single(batch))
        return torch.stack([_inner(product, direction) for product in products])

    def _explained(self, direction: Tensors, probe: Batch) -> Tensors:
        try:
            return self._reverse_product(direction, probe, checked=True)
        except RuntimeError as problem:
            if "does not require grad" in str(problem):
                raise ValueError(
                    "`parameters` must mean tensors that the loss depends on, but it depends on none of them by a path "
                    "that can be differentiated: does the forward pass detach, or run under no_grad?"
                ) from problem
            raise ValueError(
                f"`model` must be twice differentiable, with its loss, but torch says of it: {problem}"
            ) from problem


def _single(batch: Batch) -> list[Batch]:
    """The images one by one."""
    pairs = (
        map_tensors(lambda tensor, i=i: tensor[i : i + 1], (batch.inputs, batch.labels)) for i in range(batch.count)
    )
    return [Batch(inputs, labels, 0, 1) for inputs, labels in pairs]


def _inner(one: Tensors, other: Tensors) -> Tensor:
    return torch.stack([(tensor.double() * other[name].double()).sum() for name, tensor in one.items()]).sum()


def _check_agreement(difference: Tensor, size: Tensor | float, rounding: float) -> None:
    if not float(difference) <= _AGREES * float(size) + rounding:
        raise ValueError(
            "`model` must have one second derivative, but two ways to compute it disagree: does a part of it, or the "
            "loss, detach in its backward pass, or is it evaluated where it has no derivative, such as a root at 0?"
        )


def _is_cut(tensors: Iterable[Tensor]) -> bool:
    """Whether a graph has a part that can be differentiated but once: torch would leave it out without a word."""
    ahead = [one.grad_fn for one in tensors if one.grad_fn is not None]
    seen = set(ahead)
    while ahead:
        node = ahead.pop()
        if node.name() == "torch::autograd::Error":
            return True
        nodes = {following for following, _ in node.next_functions if following is not None} - seen
        seen |= nodes
        ahead += nodes
    return False
