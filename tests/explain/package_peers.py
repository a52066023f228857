"""Small networks, and the grad-cam package's maps of them beside ours."""

from typing import Any

import numpy as np
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FinerWeightedTarget
from torch import Tensor, nn

from gradscape.explain.package_cam import package_maps

CLASSES = np.array([1, 0, 4, 2])
PEERS: dict[str, Any] = {
    "scorecam": pytorch_grad_cam.ScoreCAM,
    "ablationcam": pytorch_grad_cam.AblationCAM,
    "shapleycam": pytorch_grad_cam.ShapleyCAM,
    "finercam": pytorch_grad_cam.GradCAM,
    "kpcacam": pytorch_grad_cam.KPCA_CAM,
}


def small_net(*, seed: int = 0, inplace: bool = False, head: nn.Module | None = None) -> Any:
    """Two convolutions, a nonlinear head so that second derivatives are there, and logits well above 0."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net: Any = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 7, 3),
            nn.ReLU(inplace=inplace),
            nn.AvgPool2d((7, 9)),
            nn.Flatten(),
            nn.Linear(7, 8),
            nn.Softplus(),
            head or nn.Linear(8, 5),
        )
        net.train()(torch.randn(20, 3, 9, 11))
        net[-1].bias.data += 3
    return net.eval()


def pictures(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 9, 11, generator=torch.Generator().manual_seed(1))


def itself(output: Tensor) -> Tensor:
    return output


def ours(
    model: nn.Module,
    method: str,
    layer: nn.Module,
    *,
    images: Tensor | None = None,
    classes: np.ndarray = CLASSES,
    score: Any = None,
    to_maps: Any = itself,
) -> np.ndarray:
    return package_maps(
        model,
        pictures() if images is None else images,
        method=method,
        target_layer=layer,
        class_index=classes,
        score=score,
        to_maps=to_maps,
    )


def theirs(
    model: nn.Module, method: str, layer: nn.Module, *, images: Tensor | None = None, to_maps: Any = None
) -> Any:
    """The package's maps before it cuts, scales and resizes them."""
    images = pictures() if images is None else images
    kept = []

    class Kept(PEERS[method]):  # type: ignore[misc,valid-type]
        def get_cam_image(self, *args: Any, **kwargs: Any) -> np.ndarray:
            kept.append(super().get_cam_image(*args, **kwargs))
            return kept[-1]

    targets: list[Any] = [ClassifierOutputTarget(int(index)) for index in CLASSES]
    if method == "finercam":
        with torch.no_grad():
            logits = model(images)
        targets = [FinerWeightedTarget(int(c), rivals(row, int(c)), 1) for row, c in zip(logits, CLASSES, strict=True)]
    cam = Kept(model, [layer], to_maps)
    try:
        cam(images, targets)
    finally:
        cam.activations_and_grads.gradients.clear()  # on views `release` fails
        cam.activations_and_grads.activations.clear()
        cam.activations_and_grads.release()
    return kept[0]


def rivals(logits: Tensor, index: int) -> list[int]:
    """The three classes whose logits are nearest."""
    return sorted(
        (one for one in range(len(logits)) if one != index), key=lambda one: abs(logits[one] - logits[index])
    )[:3]
