"""Time five methods of the Grad-CAM family on ResNet-18 against five objects of the grad-cam package.

Run it from anywhere: `python benchmarks/heatmaps.py [REPEATS]`. Grad-CAM, Grad-CAM++, HiResCAM, LayerCAM and XGradCAM
of the predicted classes of 8 images of 224 pixels at `layer4`, up to the displayed maps, on 2 threads, with torch's own
allocator. The contestants take turns in one process, and every turn gives one ratio. It prints times and ratios with
quartiles, of the clock and of the processor (which other programs disturb less), and fails if the clock's median ratio
is below 10 or the maps differ by more than 1e-4.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torchvision
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM

from gradscape.explain.cam import heatmaps

METHODS = {
    "gradcam": GradCAM,
    "gradcam++": GradCAMPlusPlus,
    "hirescam": HiResCAM,
    "layercam": LayerCAM,
    "xgradcam": XGradCAM,
}
IMAGES = 8
LEAST_RATIO = 10
THREADS = 2


Maps = dict[str, np.ndarray]


def timed(function: Callable[[], Maps]) -> tuple[np.ndarray, Maps]:
    """Seconds of the clock and of the processor, and the result."""
    start = time.perf_counter(), time.process_time()
    result = function()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def quartiles(values: np.ndarray, unit: str = "") -> str:
    """The median with its neighbors."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.1f}{unit} (quartiles {low:.1f} to {high:.1f})"


def main() -> int:
    """Measure; the exit status."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = torchvision.models.resnet18().eval()
    images = torch.rand(IMAGES, 3, 224, 224)

    def ours() -> Maps:
        found = heatmaps(model, images, method=list(METHODS), target_layer="layer4")
        return {name: one.display for name, one in found.items()}

    def theirs() -> Maps:
        found = {}
        for name, method in METHODS.items():
            with method(model, [model.layer4]) as cam:
                found[name] = cam(images, None)
        return found

    (_, mine), (_, other) = timed(ours), timed(theirs)
    difference = max(np.abs(mine[name] - other[name]).max() for name in METHODS)
    turns = np.array([(timed(ours)[0], timed(theirs)[0]) for _ in range(repeats)])
    for number, what in enumerate(("clock", "processor")):
        own, package = turns[:, 0, number], turns[:, 1, number]
        print(f"{what}: gradscape {quartiles(1e3 * own, ' ms')}, grad-cam {quartiles(1e3 * package, ' ms')}")
        print(f"{what}: ratio {quartiles(package / own)}, {repeats} turns")
    print(f"largest difference of the maps: {difference:.1e}")
    return bool(np.median(turns[:, 1, 0] / turns[:, 0, 0]) < LEAST_RATIO or not difference < 1e-4)


if __name__ == "__main__":
    sys.exit(main())
