"""Writes the files beside it, one of each kind, by gradscape 0.1.0 of commit 360d4b8, which later versions must read.

Run once, with that commit checked out elsewhere, and kept as it is:

    PYTHONPATH=PATH_OF_360d4b8 OMP_NUM_THREADS=1 python tests/kept/make.py

A file that a later version writes in another layout gets a script and a folder of its own.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from gradscape.cli.app import app
from gradscape.data.pictures import load_pictures
from gradscape.explain import heatmaps
from gradscape.explain.faithfulness import measure_faithfulness
from gradscape.landscape import Line, Surface, random_directions, save_directions
from gradscape.models import load_checkpoint

KEPT = Path(__file__).parent
SIDE, LIMIT, STEPS = 16, 128, 5
SPAN = ("--span", "0.5", "--steps", STEPS)
BEGUN_PASSES = 60  # of 104: four blocks at 25 points and the origin
DATA = ("--data", "digits", "--limit", LIMIT, "--precision", "fp32", "--batch-size", "32")


def main() -> None:
    """Write every file in a temporary folder, and take what is kept."""
    torch.set_num_threads(1)
    os.chdir(KEPT)  # from where the network's function is imported
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        write_pictures(KEPT / "images")
        run("train", "kept_network:small_net", "--data", "digits", "--recipe", "digits", "--epochs", 3, "--image-size",
            SIDE, "-o", out / "train")  # fmt: skip
        checkpoint = keep(next((out / "train").rglob("model.safetensors")))
        keep(next((out / "train").rglob("metrics.csv")))
        write_landscapes(checkpoint, out)
        write_explanations(checkpoint, out)
    write_expected()


def write_landscapes(checkpoint: Path, out: Path) -> None:
    """Surface, line, search for a span, direction file, and a surface that was stopped."""
    run("landscape", checkpoint, *DATA, *SPAN, "-o", out / "surface")
    keep(out / "surface" / "surface.h5")
    run("line", checkpoint, *DATA, "--steps", 7, "-o", out / "line")
    keep(out / "line" / "line.h5")
    run("landscape", checkpoint, *DATA, "--steps", 2, "-o", out / "searched")
    keep(out / "searched" / "span.json")
    model = load_checkpoint(checkpoint)
    save_directions(KEPT / "directions.h5", random_directions(model, seed=0), model)
    with stopped_after(BEGUN_PASSES):
        try:
            run("landscape", checkpoint, *DATA, *SPAN, "-o", out / "begun")
        except StoppedError:
            shutil.copy(out / "begun" / "surface.h5", KEPT / "begun.h5")


def write_explanations(checkpoint: Path, out: Path) -> None:
    """Heatmaps, attention, fusion, embedding, faithfulness, pictures, and a paper's figure."""
    images = ("--images", KEPT / "images")
    run("cam", checkpoint, *images, "--method", "gradcam", "--layer", "deep", "--faithfulness", "-o", out / "cam")
    (maps,) = (out / "cam").rglob("gradcam.npz")
    keep(maps, Path(maps.parent.name, maps.name))
    keep(out / "cam" / "cam.csv")
    keep(out / "cam" / "pictures.npz")
    run("attention", checkpoint, *images, "-o", out / "attention")
    keep(out / "attention" / "attention.npz")
    run("fusion", checkpoint, *images, "-o", out / "fusion")
    keep(out / "fusion" / "fusion.npz")
    run("tsne", checkpoint, "--data", "digits", "--limit", 40, "--perplexity", 8, "-o", out / "tsne")
    keep(out / "tsne" / "embedding.npz")
    run("figure", "upanets:15", KEPT / "surface.h5", "-o", out / "figure")
    keep(out / "figure" / "upanets_15.npz")
    model = load_checkpoint(checkpoint)
    pictures = load_pictures([KEPT / "images"], SIDE).images
    found = heatmaps(model, pictures, method="gradcam", target_layer="deep")
    measure_faithfulness(model, pictures, found, steps=4).save(KEPT / "faithfulness.npz")


def write_expected() -> None:
    """The numbers that the landscapes' own classes make of their files."""
    surface, line = Surface.load(KEPT / "surface.h5"), Line.load(KEPT / "line.h5")
    np.savez_compressed(
        KEPT / "expected.npz",
        **{
            f"{kind}.{name}": getattr(result, name)
            for kind, result in (("surface", surface), ("line", line), ("begun", Surface.load(KEPT / "begun.h5")))
            for name in ("alphas", "loss", "loss_stderr", "error", "count")
        },
    )


def write_pictures(folder: Path) -> None:
    """Two digits as files."""
    folder.mkdir(exist_ok=True)
    for number in (3, 7):
        pixels = (load_digits().images[number] * 15.9375).astype(np.uint8)
        Image.fromarray(pixels).convert("RGB").save(folder / f"digit-{number}.png")


class StoppedError(Exception):
    """What comes between."""


def stopped_after(passes: int) -> Any:
    """After so many passes of a batch at a point an error comes between."""
    evaluator = import_module("gradscape.landscape.workers").Evaluator  # where it is today is another place
    plain, left = evaluator.measure, [passes]

    def counted(jobs: Iterable[Any]) -> Iterator[Any]:
        for job in jobs:
            left[0] -= len(job.points) * len(job.batches)
            if left[0] < 0:
                raise StoppedError
            yield job

    return patch.object(evaluator, "measure", lambda self, jobs: plain(self, counted(jobs)))


def run(*arguments: object) -> None:
    """A command of gradscape, in this process."""
    app([*map(str, arguments), "--device", "cpu", "-q"] if arguments[0] != "figure" else [*map(str, arguments), "-q"],
        standalone_mode=False)  # fmt: skip


def keep(path: Path, place: Path | None = None) -> Path:
    """Copy a file beside this script, or to a place below its folder."""
    kept = KEPT / (place or path.name)
    kept.parent.mkdir(exist_ok=True)
    return Path(shutil.copy(path, kept))


if __name__ == "__main__":
    main()
