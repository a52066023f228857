"""In how many pictures the heatmap of the surest detection has most of its heat in the detection's box.

Each picture's surest detection is explained by each method; told is the share of pictures in which more than half of
what is positive in the map, at the canvas's size, lies in the box, with Wilson's 95 % interval, and the mean share of
the heat that does. Beside it stands the mean share of the picture that the boxes cover: what heat that is even over the
picture would reach.
"""

import argparse

import numpy as np
import torch

from gradscape._intervals import proportion
from gradscape.data import load_annotated
from gradscape.explain import NothingFoundError, explain_detection
from gradscape.models import load_checkpoint

METHODS = ("hirescam", "layercam", "gradcam", "gradcam++")


def share_inside(heat: np.ndarray, box: np.ndarray) -> float:
    """Share of a map's sum that lies in a box, pixels at its edge by the part that it covers."""
    height, width = heat.shape
    across, down = (_covered(*ends, size) for ends, size in ((box[[0, 2]], width), (box[[1, 3]], height)))
    return float(down @ heat @ across / heat.sum())


def _covered(first: float, last: float, size: int) -> np.ndarray:
    pixels = np.arange(size)
    return np.clip(np.minimum(pixels + 1, last) - np.maximum(pixels, first), 0, 1)


def main() -> None:
    """Print a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CKPT", help="A detector's .safetensors")
    parser.add_argument("--data", required=True, help="coco:PATH or voc:PATH")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=40, help="Pictures")
    parser.add_argument("--seed", type=int, default=0, help="Chooses the pictures")
    asked = parser.parse_args()
    model = load_checkpoint(asked.checkpoint)
    options = {"image_size": model.image_size, "batch_size": 1, "limit": asked.limit, "seed": asked.seed}
    shares: dict[str, list[float]] = {name: [] for name in METHODS}
    covered, empty = [], 0
    for images, _ in load_annotated(asked.data, asked.split, **options):
        try:
            explained = explain_detection(model, images, method=METHODS)
        except NothingFoundError:
            empty += 1
            continue
        for name, maps in explained.heatmaps.items():
            shares[name].append(0.0 if maps.faults else share_inside(maps.shared_display[0], explained.box))
        covered.append(share_inside(np.ones(images.shape[2:]), explained.box))
    count = len(covered)
    print(f"{model.meta['name']}, {torch.__version__}: {count} pictures with a detection, {empty} without")
    if not count:
        return
    print(f"{'method':<10} {'more than half inside':>28} {'mean share inside':>18}")
    for name, several in shares.items():
        most = sum(one > 0.5 for one in several)
        interval = proportion(most, count)
        told = f"{most}/{count} = {100 * most / count:.0f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f})"
        print(f"{name:<10} {told:>28} {100 * np.mean(several):>16.0f} %")
    print(f"boxes cover {100 * np.mean(covered):.0f} % of their canvases in the mean")


if __name__ == "__main__":
    main()
