"""Squares of each image's own gradients, layer by layer, from what goes into a layer and what comes back to it."""

from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle

__all__ = ["TappedLayers", "own_layers"]


def own_layers(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module] | None:
    """The layers that parameters belong to, by name; None where one is of a kind that is not known here.

    Known are convolutions (zeros around), linear layers and batch norms with running statistics.
    """
    found: dict[str, nn.Module] = {}
    for name in names:
        prefix = name.rpartition(".")[0]
        layer = model.get_submodule(prefix)
        plain_convolution = type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and layer.padding != "same"
        batch_norm = isinstance(layer, _BatchNorm) and layer.running_mean is not None
        if not (plain_convolution or batch_norm or type(layer) is nn.Linear):
            return None
        found[prefix] = layer
    return found


@final
class TappedLayers:
    """Remembers what goes in and out of layers during one forward pass.

    Args:
        layers: By name, as `own_layers` gives them.
    """

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        self._layers = layers
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.called_again = False

    def __enter__(self) -> "TappedLayers":
        self._handles: list[RemovableHandle] = [
            layer.register_forward_hook(self._hook(name)) for name, layer in self._layers.items()
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def squares(self, name: str, columns: Tensor, cotangent: Tensor, weights: Tensor) -> tuple[dict[str, Tensor], ...]:
        """Weighted squares of each image's gradient by the layer's own parameters.

        Args:
            name: Of the layer.
            columns: From `unfolded`.
            cotangent: What comes back to its output, (images, …).
            weights: Of each image, (images,) in double.

        Returns:
            By parameter ("weight", "bias"): summed over images, of its shape; and summed over its scalars, (images,).
        """
        layer = self._layers[name]
        totals, traces = {}, {}
        for own, gradient in self.gradients(name, columns, cotangent).items():
            parameter = layer.get_parameter(own)
            squared = gradient.reshape(len(weights), -1).square()
            totals[own] = (weights.to(squared) @ squared).double().reshape(parameter.shape)
            traces[own] = weights * squared.sum(dim=1, dtype=torch.float64)
        return totals, traces

    def gradients(self, name: str, columns: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
        """Each image's own gradient by the layer's own parameters, (images, …); arguments as those of `squares`."""
        return _own_gradients(self._layers[name], columns, cotangent)

    def unfolded(self, name: str) -> Tensor:
        """What goes into a layer, as its gradients need it."""
        layer, values = self._layers[name], self.inputs[name]
        if isinstance(layer, nn.Conv2d):
            padding: Any = layer.padding if layer.padding != "valid" else 0
            patches = F.unfold(values, layer.kernel_size, layer.dilation, padding, layer.stride)
            return patches.reshape(len(values), layer.groups, -1, patches.shape[-1])
        if isinstance(layer, _BatchNorm):
            shape = (1, -1, *(1,) * (values.dim() - 2))
            mean, variance = layer.running_mean, layer.running_var
            assert mean is not None
            assert variance is not None
            return (values - mean.reshape(shape)) * (variance + layer.eps).rsqrt().reshape(shape)
        return values

    def _hook(self, name: str):  # type: ignore[no-untyped-def]
        def hook(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            self.called_again = self.called_again or name in self.inputs
            self.inputs[name], self.outputs[name] = args[0].detach(), output

        return hook


def _own_gradients(layer: nn.Module, columns: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
    """Gradient of each image by the layer's parameters, (images, …)."""
    count, has_bias = len(cotangent), getattr(layer, "bias", None) is not None
    if isinstance(layer, nn.Conv2d):
        flat = cotangent.reshape(count, layer.groups, -1, cotangent[0, 0].numel())
        found = {"weight": flat @ columns.transpose(2, 3)}
        return found | ({"bias": flat.sum(dim=3)} if has_bias else {})
    if isinstance(layer, _BatchNorm):
        places = tuple(range(2, cotangent.dim()))
        both = {"weight": cotangent * columns, "bias": cotangent}
        return {own: one.sum(dim=places) if places else one for own, one in both.items()} if layer.affine else {}
    flat, rows = (one.reshape(count, -1, one.shape[-1]) for one in (cotangent, columns))
    found = {"weight": flat.transpose(1, 2) @ rows}
    return found | ({"bias": flat.sum(dim=1)} if has_bias else {})
