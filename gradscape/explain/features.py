"""Features of any layer of any model; and one run of a model in which listeners hear what its modules give."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from gradscape._left_as_before import left_as_before
from gradscape._substitution import called_with
from gradscape.explain.explainable import ForwardFunction, call_model, called_by, explainable, images_for
from gradscape.explain.inputs import Inputs, inputs_for
from gradscape.explain.layer_layouts import settle_layout
from gradscape.explain.layout import MapLayout, as_maps
from gradscape.explain.target_layer import layer_names, named_layer

__all__ = ["as_array", "copied", "feature_maps", "listening", "run_listened", "run_without_memory"]


@left_as_before
def feature_maps(
    model: nn.Module,
    images: Shaped[Tensor, "batch channels *size"],
    *,
    layer: str | nn.Module,
    layout: MapLayout | None = None,
    forward: ForwardFunction | None = None,
) -> np.ndarray:
    """Return what a layer gives for each image, as maps.

    Tokens of a transformer are laid out on their grid, without the class token and the like. Of a layer that runs
    several times the last output counts. The model is run once, in eval mode, and left as it was; once more with one
    image where it has to be measured how the layer is laid out.

    Args:
        model: Any model.
        images: What the model takes: for a loaded checkpoint images in [0, 1].
        layer: The layer or its name, with or without the `network.` of a loaded checkpoint.
        layout: How the layer gives its places, as `heatmaps` takes it; None to have it measured.
        forward: (model, images) -> output, where the model takes more than images.

    Returns:
        (N, C, H, W) float32; of volumes (N, C, D, H, W), of signals (N, C, L).

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If there is no such layer, it does not run, or its output is not a map for each image, or `layout`
            does not fit it or has to be given.
    """
    model = called_by(model, forward)
    images_for(model, images)
    name, module = named_layer(model, layer, argument="layer")
    outputs: list[Any] = []
    with listening({name: module}, lambda _name, output: outputs.append(copied(output))):
        run_listened(model, images)
    if not outputs:
        raise ValueError(f"`layer` {name} must run when the model does, but does not; choose another one")
    features = outputs[-1]
    if not isinstance(features, Tensor) or features.ndim < 3:
        came = f"the shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"`layer` {name} must give maps (images, channels, height, width), got {came}; choose another")
    known = settle_layout(layout, features, model, images, layer=module, layers=layer_names(model), argument="layer")
    return as_array(as_maps(features, known))


@contextmanager
def listening(
    layers: Mapping[str, nn.Module], listen: Callable[[str, Any], None], *, to_inputs: bool = False
) -> Iterator[None]:
    """Call `listen(name, output)` whenever one of the layers has run; on leaving, nobody listens any more.

    What runs afterwards may work in place: a listener copies what it keeps.

    Args:
        layers: By name.
        listen: Called with the name and what the layer gave.
        to_inputs: Whether it is called with what the layer took instead.
    """

    def hook(name: str) -> Any:
        def heard(_module: nn.Module, inputs: Any, output: Any) -> None:
            listen(name, inputs[0] if to_inputs else output)

        return heard

    hooks = []
    try:
        for name, module in layers.items():
            hooks.append(module.register_forward_hook(hook(name)))
        yield
    finally:
        for one in hooks:
            one.remove()


def run_listened(model: nn.Module, images: Inputs) -> None:
    """Run the model once, in eval mode and without gradients, for those who listen; it is left as it was.

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If they are no batch.
    """
    with explainable(model), torch.no_grad():
        call_model(model, inputs_for(model, images))


def run_without_memory(model: nn.Module, images: Inputs) -> None:
    """Run the model as `run_listened` does, on tensors that have shapes but neither values nor memory.

    Raises:
        TypeError: If the images are not floating point.
        ValueError: If they are no batch.
        RuntimeError: If the model does something that needs values, or holds tensors that torch does not know of.
    """
    with explainable(model), torch.no_grad():
        state = {name: one.detach().to("meta") for name, one in (*model.named_parameters(), *model.named_buffers())}
        called_with(model, state, inputs_for(model, images, device=torch.device("meta")))


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a copy as a float32 array."""
    return tensor.detach().to("cpu", torch.float32, copy=True, memory_format=torch.contiguous_format).numpy()


def copied(output: Any) -> Any:
    """Return what a layer gave as it is now, or what is no tensor itself."""
    return output.detach().clone() if isinstance(output, Tensor) else output
