"""Digests of the bits that gradscape computes, to see whether two versions of it compute the same.

Surfaces in fp32 by the module itself and by its traced graph, heatmaps, and an embedding, of two published networks on
CIFAR-10 images and of a fresh one on digits, on one thread. Only public names are used that all versions have. With two
checkouts on one machine:

    export GRADSCAPE_TEST_DATA=FOLDER
    diff <(PYTHONPATH=OLD python benchmarks/same_bits.py) <(PYTHONPATH=NEW python benchmarks/same_bits.py)
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.data import load_split
from gradscape.explain import embed, heatmaps
from gradscape.landscape import evaluate_surface, random_directions
from gradscape.models import create_model, import_checkpoint, load_checkpoint

IMAGES, BATCH = 256, 32
POPULATION = 1000  # more than the images, else no standard error is left
FORMS = {False: 3, True: 5}  # points on a side: 80 passes are left to the module, 208 are worth a graph
SECONDS = 290.0  # so short a run is not worth compiling, even on a slow machine
HEATMAPS = ("gradcam", "gradcam++", "layercam", "eigencam")
EXPLAINED = 8

PUBLISHED = {
    "resnet20": ("akamaster-resnet20-12fca82f.th", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "resnet56_projection": (
        "tomgoldstein-resnet56-model_300.t7",
        [125.3 / 255, 123.0 / 255, 113.9 / 255],
        [63.0 / 255, 62.1 / 255, 66.7 / 255],
    ),
}
FRESH = "upanet16"


@dataclass(frozen=True, eq=False)
class Kept:
    """One kept input.

    Attributes:
        name: The network's name.
        model: In `eval()`; takes images in [0, 1].
        images: (256, 3, 32, 32).
        labels: (256,).
    """

    name: str
    model: nn.Module
    images: Tensor
    labels: Tensor


def main() -> None:
    """Print a line for every array: its digest, and what it is."""
    parser = argparse.ArgumentParser(description="Print digests of what this version computes.")
    parser.add_argument("--only", choices=[*PUBLISHED, FRESH], help="one of the networks")
    only = parser.parse_args().only
    folder = os.environ.get("GRADSCAPE_TEST_DATA")
    if folder is None:
        parser.error("GRADSCAPE_TEST_DATA must name the folder of the tests' data")
    torch.set_num_threads(1)
    for name in [only] if only else [*PUBLISHED, FRESH]:
        kept = _fresh(name) if name == FRESH else _published(name, Path(folder))
        for what, array in arrays(kept):
            content = repr((array.shape, str(array.dtype))).encode() + np.ascontiguousarray(array).tobytes()
            print(f"{hashlib.sha256(content).hexdigest()}  {name}: {what}", flush=True)


def arrays(kept: Kept) -> Iterator[tuple[str, np.ndarray]]:
    """What is computed of a kept input, each with its name.

    Raises:
        RuntimeError: The engine took another form than the one that is to be compared, or too long.
    """
    batches = [(kept.images, kept.labels)]
    directions = random_directions(kept.model, seed=0)
    for traced, steps in FORMS.items():
        axis = np.linspace(-0.5, 0.5, steps)
        surface = evaluate_surface(
            kept.model,
            batches,
            directions,
            axis,
            axis,
            precision="fp32",
            batch_size=BATCH,
            population=POPULATION,
            seconds=SECONDS,
        )
        plan = surface.meta["plan"]
        if plan["traced"] != traced or plan["compiled"] or plan["points_per_forward"] != 1:
            raise RuntimeError(f"{kept.name} was evaluated in another form: {plan}")
        if surface.count.min() < IMAGES:
            raise RuntimeError(f"{kept.name} was not evaluated on all images in {SECONDS:g} s: try a quieter machine")
        form = "the traced graph" if traced else "the module itself"
        yield f"loss by {form}", surface.loss
        yield f"error by {form}", surface.error
        yield f"standard error by {form}", surface.loss_stderr
    for method in HEATMAPS:
        yield f"heatmaps of {method}", heatmaps(kept.model, kept.images[:EXPLAINED], method=method).raw
    yield "points of the embedding", embed(kept.model, batches, seed=0).points


def _published(name: str, folder: Path) -> Kept:
    file, mean, std = PUBLISHED[name]
    with tempfile.TemporaryDirectory() as made:
        checkpoint = Path(made, "model.safetensors")
        import_checkpoint(
            folder / "checkpoints" / file,
            checkpoint,
            name=name,
            num_classes=None,
            image_size=32,
            mean=tuple(mean),
            std=tuple(std),
        )
        model = load_checkpoint(checkpoint)
    data = f"npz:{folder / 'cifar10' / 'cifar10_test1000_lossless.npz'}"
    return Kept(name, model, *_whole(load_split(data, "test", image_size=32, limit=IMAGES)))


def _fresh(name: str) -> Kept:
    """Seeded weights, with the statistics of the images: those of a fresh batch norm let activations explode."""
    images, labels = _whole(load_split("digits", "test", image_size=32, limit=IMAGES))
    torch.manual_seed(0)
    net = create_model(name, num_classes=10, image_size=32).train()
    with torch.no_grad():
        for _ in range(3):
            net(images)
    return Kept(name, net.eval(), images, labels)


def _whole(split: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    images, labels = (torch.cat(parts) for parts in zip(*split, strict=True))
    return images, labels


if __name__ == "__main__":
    main()
