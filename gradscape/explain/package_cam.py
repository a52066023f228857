"""Class-activation maps by the grad-cam package (pytorch-grad-cam, Jacob Gildenblat and contributors).

The package gives each method's weights or maps. Running the model is done here, one image at a time, so that:

- it never holds the model itself: what it replaces, hooks, switches and differentiates is a frame around it;
- a layer's output is copied before anything later can overwrite it in place;
- frozen, compiled and bfloat16 models and outputs of any kind are within its reach;
- a class belongs to each image, and what is not finite stays so instead of being set to 0.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gradscape._journal import undone
from gradscape._model_state import model_device
from gradscape.explain.explainable import call_model, explainable, images_for
from gradscape.explain.explained import Score, pick_scores
from gradscape.explain.logits import logits_in
from gradscape.explain.output_kind import OutputKind

__all__ = ["PACKAGE_METHODS", "package_maps"]

ToMaps = Callable[[Tensor], Tensor]
"""From a layer's output to maps (N, C, h, w)."""

_CHANNELS_AT_ONCE: Final = 16
_RIVALS: Final = 3


def package_maps(
    model: nn.Module,
    images: Float[Tensor, "batch channels height width"],
    *,
    method: str,
    target_layer: nn.Module,
    class_index: np.ndarray,
    score: Score | None,
    to_maps: ToMaps,
    outputs: OutputKind | None = None,
) -> np.ndarray:
    """Return the maps of one of `PACKAGE_METHODS`, for target features A_k, a score y and its gradient G = ∂y/∂A.

    All but `fullgrad` are signed and at the layer's size:

    - `scorecam`: Σ_k w_k A_k, w = softmax over k of the score of the image times A_k, scaled to [0, 1] and resized.
      The image is darkened as the model takes it, toward its 0. Source: Wang et al. 2020, arXiv:1910.01279, alg. 1.
    - `ablationcam`: w_k = (y − y_k) / |y|, y_k the score with A_k set to 0. Source: Desai and Ramaswamy 2020, whose
      divisor is y: a score below 0 would turn the map's sign. The package itself sets A_k to 0 only where the
      smallest feature is exactly 0, and else to some −10⁷ times k's place in its batch.
    - `shapleycam`: w_k = the mean over places of G − ½ H A, H the score's second derivative. Source: Cai 2025,
      arXiv:2501.06261.
    - `finercam`: Grad-CAM of the class's logit less those of the three classes with the nearest logits, weighted by
      their softmax. Source: Zhang et al. 2025, arXiv:2501.11309.
    - `kpcacam`: the first component of kernel PCA (sigmoid) of the features over the places; no class enters. Its sign
      is chosen so that it grows with the mean of the features. Source: Karmani et al. 2024, arXiv:2410.00267.
    - `fullgrad`: |image · gradient| and, for each convolution and batch normalization of the net, |bias · gradient|,
      each channel scaled to [0, 1], resized to the image and summed: 0 or above, at the image's size; the target layer
      does not enter, nor do biases of other layers. Source: Srinivas and Fleuret 2019, arXiv:1905.00780.

    Args:
        model: Any model.
        images: As the model takes them.
        method: One of `PACKAGE_METHODS`.
        target_layer: The layer whose output is A, the last one where it runs more than once.
        class_index: (N,) integers, the class of each image; not read where there is a `score`.
        score: From the model's output for any number of images to as many numbers; None for the class's logit.
        to_maps: From the layer's output (n, …) to A (n, C, h, w): drops class tokens, brings channels to the front.
        outputs: What the model's numbers are; None to measure it at each call.

    Returns:
        (N, h, w) float32; NaN for an image whose features or score are not finite, or cannot be divided by.

    Raises:
        TypeError: If the layer's output is no tensor.
        ValueError: If there is not one class an image; if the layer does not run or the score does not depend on it; if
            `finercam` gets a `score` or a model of one class, or `fullgrad` a model without biases.
    """
    explain = _METHODS[method]
    if class_index.shape != (len(images),):
        raise ValueError(f"`class_index` must be a class for each of the {len(images)} images, got {class_index.shape}")
    if method == "finercam" and score is not None:
        raise ValueError("`score` must be None for finercam, which compares logits; give a `class_index`")
    maps = []
    with explainable(model), _silent():
        for image, index in zip(images_for(model, images).split(1), class_index.tolist(), strict=True):
            np.random.seed(0)  # noqa: NPY002  kernel PCA draws from it; `explainable` restores what was
            framed = _Framed(model, target_layer, score or _logit(method, index, outputs), to_maps)
            maps.append(explain(framed, image))
    return np.stack(maps).astype(np.float32)


class _Framed(nn.Module):
    """The model as the package wants it: one score an image, and a layer that it may replace.

    The target layer's output, the last one where it runs more than once, passes through `gate`, and only this does the
    package touch.
    """

    def __init__(self, model: nn.Module, layer: nn.Module, score: Score, to_maps: ToMaps) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.empty(0, device=model_device(model)))  # where the package works
        self.gate: nn.Module = nn.Identity()
        self.model, self.layer = model, layer
        self.score = score
        self.to_maps = to_maps
        self.last_run = 0

    def forward(self, images: Tensor) -> Tensor:
        """(N, 1) scores."""
        runs = 0

        def divert(_layer: nn.Module, _inputs: Any, output: Any) -> Any:
            nonlocal runs
            runs += 1
            if not isinstance(output, Tensor):
                raise TypeError(f"`target_layer` must give a tensor, got {type(output).__name__}; choose another layer")
            return output if runs < self.last_run else self.gate(output)

        hook = self.layer.register_forward_hook(divert)
        try:
            output = call_model(self.model, images_for(self.model, images))
        finally:
            hook.remove()
        if not runs:
            raise ValueError("`target_layer` must run in a forward pass, and does not; choose a layer that does")
        self.last_run = runs
        return pick_scores(output, score=self.score).scores.float()[:, None]

    def features_and_score(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The layer's output, where the graph begins, and the score that it leads to."""
        features = []

        def cut(_gate: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            features.append(output.detach().clone().requires_grad_())
            return features[-1].clone()

        hook = self.gate.register_forward_hook(cut)
        try:
            scores = self(image)
        finally:
            hook.remove()
        return features[-1], scores.sum()

    def maps(self, image: Tensor) -> np.ndarray:
        """A, (1, C, h, w)."""
        with torch.no_grad():
            return _array(self.to_maps(self.features_and_score(image)[0]))


class _Ablation(nn.Module):
    """Sets one channel of each copy of an image to 0; the package tells it how far it is."""

    def __init__(self, to_maps: ToMaps) -> None:
        super().__init__()
        self.to_maps = to_maps
        self.indices = np.arange(0)

    def activations_to_be_ablated(self, features: np.ndarray, _ratio: float) -> np.ndarray:
        """All channels."""
        self.indices = np.arange(len(features))
        return self.indices

    def set_next_batch(self, **_batch: Any) -> None:
        """Nothing to prepare: the features come in anew with each batch."""

    def forward(self, output: Tensor) -> Tensor:
        """The layer's output with channel `indices[i]` of copy i at 0."""
        numbers = torch.arange(output.numel(), dtype=torch.float64).view(output.shape)
        images, channels = _leading_dimensions(numbers, self.to_maps(numbers))
        ablated = output.clone()
        rows = torch.arange(output.shape[images], device=output.device)
        chosen = torch.as_tensor(self.indices[: len(rows)], device=output.device)
        ablated.movedim((images, channels), (0, 1))[rows, chosen] = 0
        return ablated


def _leading_dimensions(numbers: Tensor, maps: Tensor) -> tuple[int, int]:
    """Which dimensions of an output, whose entries are numbered, are the first two of its maps."""
    dimensions: list[int] = []
    for size, neighbors in ((len(maps), maps[:, 0, 0, 0]), (maps.shape[1], maps[0, :, 0, 0])):
        step = neighbors[:2].diff().tolist()  # empty where there is only one
        found = [
            one
            for one in range(numbers.ndim)
            if numbers.shape[one] == size and step in ([], [numbers.stride(one)]) and one not in dimensions
        ]
        if not found:
            raise ValueError("`layout` must keep images and channels whole for ablationcam; choose another method")
        dimensions.append(found[0])
    return dimensions[0], dimensions[1]


def _score_cam(framed: _Framed, image: Tensor) -> np.ndarray:
    from pytorch_grad_cam import ScoreCAM

    cam = ScoreCAM(framed, [])
    maps = framed.maps(image)
    scores: list[Tensor] = []

    def record(output: Tensor) -> Tensor:
        scores.append(output[0])
        return output[0]

    for start in range(0, maps.shape[1], _CHANNELS_AT_ONCE):  # the package holds a masked image for each channel
        cam.get_cam_weights(image, None, [record], maps[:, start : start + _CHANNELS_AT_ONCE], None)
    return _weighted(_array(torch.stack(scores).softmax(0)[None]), maps)


def _ablation_cam(framed: _Framed, image: Tensor) -> np.ndarray:
    from pytorch_grad_cam import AblationCAM

    maps = framed.maps(image)
    cam = AblationCAM(framed, [], ablation_layer=_Ablation(framed.to_maps), batch_size=_CHANNELS_AT_ONCE)
    with torch.no_grad():
        sign = np.sign(framed(image).item())
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = cam.get_cam_weights(image, framed.gate, [_first], maps, None)
        return _weighted(np.where(np.isfinite(weights), sign * weights, np.nan), maps)


def _shapley_cam(framed: _Framed, image: Tensor) -> np.ndarray:
    from pytorch_grad_cam import ShapleyCAM

    cam = ShapleyCAM(framed, [], lambda output: framed.to_maps(output).float())
    with sdpa_kernel(SDPBackend.MATH):  # the fast kernels have no second derivative
        features, score = framed.features_and_score(image)
        gradient = _gradient(score, features, create_graph=True)
        if not gradient.requires_grad:  # the score is linear in A
            gradient.requires_grad_()
        weights = cam.get_cam_weights(image, None, None, features, gradient)
    return _weighted(weights, _array(framed.to_maps(features)))


def _finer_cam(framed: _Framed, image: Tensor) -> np.ndarray:
    from pytorch_grad_cam import FinerCAM

    features, score = framed.features_and_score(image)
    maps, gradients = (_array(framed.to_maps(one)) for one in (features, _gradient(score, features)))
    return _weighted(FinerCAM(framed, []).base_cam.get_cam_weights(image, None, None, maps, gradients), maps)


def _kpca_cam(framed: _Framed, image: Tensor) -> np.ndarray:
    from pytorch_grad_cam import KPCA_CAM

    maps = framed.maps(image)
    if not np.isfinite(maps).all():  # the package would set them to 0
        return np.full(maps.shape[2:], np.nan)
    component = KPCA_CAM(framed, []).get_cam_image(image, None, None, maps, None, False)[0]
    strength = maps[0].mean(axis=0)
    return component * (-1 if (component * (strength - strength.mean())).sum() < 0 else 1)


def _full_grad(framed: _Framed, image: Tensor) -> np.ndarray:
    from pytorch_grad_cam import FullGrad

    biased: list[tuple[nn.Module, Tensor]] = []

    def keep(layer: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        biased.append((layer, output))
        return output.clone()

    image = image.clone().requires_grad_()
    hooks = [one.register_forward_hook(keep) for one in framed.model.modules() if _has_map_bias(one)]
    try:
        score = pick_scores(call_model(framed.model, image.clone()), score=framed.score).scores.sum()
    finally:
        for hook in hooks:
            hook.remove()
    if not biased:
        raise ValueError("`model` must run a Conv2d or BatchNorm2d with a bias for fullgrad; choose another method")
    outputs = [image, *(output for _, output in biased)]
    gradients = torch.autograd.grad(score, outputs, materialize_grads=True)
    # an empty frame, since the package pairs biases and gradients by the order in which layers were registered
    cam = FullGrad(nn.Linear(1, 1), [])
    cam.bias_data = [_array(cam.get_bias_data(layer)) for layer, _ in biased]
    cam.activations_and_grads.gradients = [gradient.clone().float() for gradient in gradients[1:]]
    pixels = image.detach().float()
    pixels.grad = gradients[0].float()
    return cam.compute_cam_per_layer(pixels, None, False)[0, 0]


def _has_map_bias(layer: nn.Module) -> bool:
    """Whether it has what the package takes as a bias of a map."""
    if type(layer) is nn.BatchNorm2d:
        return layer.affine and layer.running_mean is not None
    return type(layer) is nn.Conv2d and layer.bias is not None


def _logit(method: str, class_index: int, outputs: OutputKind | None) -> Score:
    """The class's logit, or for FinerCAM its lead over the nearest ones."""

    def logit(output: Any) -> Tensor:
        return pick_scores(output, class_index=class_index, outputs=outputs).scores

    def lead(output: Any) -> Tensor:
        from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget

        output = logits_in(output)
        if output.shape[1] == 1:
            raise ValueError("`model` must have two classes or more for finercam, got 1; choose another method")
        distances = (output - logit(output)[:, None]).detach().abs()[0]
        rivals = [index for index in distances.argsort().tolist() if index != class_index][:_RIVALS]
        return FinerWeightedTarget(class_index, rivals, 1)(output.float())

    return lead if method == "finercam" else logit


def _gradient(score: Tensor, features: Tensor, *, create_graph: bool = False) -> Tensor:
    found: Tensor | None = None
    if score.requires_grad:
        (found,) = torch.autograd.grad(score, features, create_graph=create_graph, allow_unused=True)
    if found is None:
        raise ValueError("`target_layer` must have an influence on the score, but has none; choose another layer")
    return found


def _weighted(weights: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Σ_k w_k A_k of one image."""
    return np.einsum("k,khw->hw", weights[0], maps[0])


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().cpu().numpy()


def _first(output: Tensor) -> Tensor:
    return output[0]


@contextmanager
def _silent() -> Iterator[None]:
    """The package's own progress bars do not appear; everybody else's do."""
    from pytorch_grad_cam import ablation_cam, score_cam

    mute = SimpleNamespace(tqdm=lambda steps: steps)
    bars = [(module, module.tqdm) for module in (score_cam, ablation_cam)]

    def put_back() -> None:
        for module, bar in bars:
            module.tqdm = bar

    with undone(put_back):
        for module, _ in bars:
            module.tqdm = mute
        yield


_METHODS: Final[dict[str, Callable[[_Framed, Tensor], np.ndarray]]] = {
    "scorecam": _score_cam,
    "ablationcam": _ablation_cam,
    "fullgrad": _full_grad,
    "shapleycam": _shapley_cam,
    "finercam": _finer_cam,
    "kpcacam": _kpca_cam,
}

PACKAGE_METHODS: Final = tuple(_METHODS)
"""Names of the methods that the grad-cam package computes."""
