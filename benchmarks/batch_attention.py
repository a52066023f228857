"""Does BA²M act? Trained networks with it switched on and off in evaluation, and over the batch size of inference.

    python benchmarks/batch_attention.py RUN --data digits [--baseline RUN] [-o FILE.md]

A RUN is what `gradscape train` wrote from several seeds, or a checkpoint. The same networks are evaluated with every
image by itself, as always, and with the images of a batch weighed against each other (`evaluation="batch"`). Images
are taken in one shuffled order, the same for all networks, since data sets may be sorted by class. Four tables in
Markdown: the test accuracy with and without BA²M; every seed's weights, and what switching them on changes, paired over
the images; their means over the seeds; and the paper's experiment with 1 to 256 images at once.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape._intervals import ConfidenceInterval, mean_of, paired_difference, proportion, welch_difference
from gradscape._taps import collected_taps
from gradscape.data import load_split
from gradscape.models import Classifier, load_checkpoint
from gradscape.models.ba2m import acting_in_evaluation

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Answers:
    """What a network says to N images.

    Attributes:
        losses: (N,) cross-entropies.
        predicted: (N,) classes.
        right: (N,) 1 where it is the label, else 0.
    """

    losses: np.ndarray
    predicted: np.ndarray
    right: np.ndarray


def main() -> int:
    """Measure and print; the exit status."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("run", type=Path)
    reader.add_argument("--data", required=True)
    reader.add_argument("--data-root", type=Path)
    reader.add_argument("--baseline", type=Path, help="the same network without BA²M, trained alike")
    reader.add_argument("--batch-size", type=int, help="of tables 1 to 3; by default that of the training")
    reader.add_argument("-o", "--output", type=Path)
    given = reader.parse_args()
    models = [load_checkpoint(path) for path in checkpoints(given.run)]
    size = given.batch_size or int((models[0].meta.get("recipe") or {}).get("batch_size", SIZES[-1]))
    images, labels = shuffled(given.data, given.data_root, models[0].image_size)
    acting = [acting_answers(model, images, labels, size) for model in models]
    tables = [
        *(accuracies(given.run, given.baseline, acting, size=size) if given.baseline else ()),
        *actions(models, acting, images, labels, size=size),
        *inference(models, images, labels),
    ]
    text = "\n".join(tables)
    print(text)
    if given.output:
        given.output.write_text(text + "\n", encoding="utf-8")
    return 0


def checkpoints(run: Path) -> list[Path]:
    """The networks of a training, seed by seed, after their last epochs."""
    if run.is_file():
        return [run]
    found = sorted(run.glob("seed*/model.safetensors"), key=lambda path: int(path.parent.name.removeprefix("seed")))
    found = found or list(run.glob("model.safetensors"))
    if not found:
        raise SystemExit(f"no checkpoint in {run}; make some with `gradscape train resnet20+ba2m --seeds 10 -o {run}`")
    return found


def shuffled(data: str, root: Path | None, image_size: int) -> tuple[Tensor, Tensor]:
    """All test images and their labels."""
    batches = list(load_split(data, "test", root=root, image_size=image_size))
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order], labels[order]


@torch.no_grad()
def answers(model: Classifier, images: Tensor, labels: Tensor, size: int) -> Answers:
    """Run a network over batches of `size` images."""
    logits = torch.cat([model(batch) for batch in images.split(size)])
    predicted = logits.argmax(1)
    losses = F.cross_entropy(logits, labels, reduction="none")
    return Answers(losses.double().numpy(), predicted.numpy(), (predicted == labels).double().numpy())


def acting_answers(model: Classifier, images: Tensor, labels: Tensor, size: int) -> Answers:
    """The same with the images of a batch weighed against each other."""
    with acting_in_evaluation(model):
        return answers(model, images, labels, size)


@torch.no_grad()
def spreads(model: Classifier, images: Tensor, size: int) -> dict[str, float]:
    """Standard deviation of the weights in a batch, as shares of their mean: block -> mean over the full batches."""
    found: dict[str, list[float]] = {}
    with collected_taps(model, {"batch weights"}) as collected:
        for batch in images.split(size)[: max(1, len(images) // size)]:
            model(batch)
    for name, weights in collected.items():
        found[name.removeprefix("network.").rpartition(".")[0]] = [float(one.std() / one.mean()) for one in weights]
    return {name: float(np.mean(several)) for name, several in found.items()}


def accuracies(run: Path, baseline: Path, acting: Sequence[Answers], *, size: int) -> list[str]:
    """Test accuracies of both trainings, as their checkpoints tell them, and with the weights; differences by Welch."""
    without, alone = (
        [100 * float(load_checkpoint(one).meta["scores"]["test_accuracy"]) for one in checkpoints(path)]
        for path in (baseline, run)
    )
    together = [100 * float(one.right.mean()) for one in acting]
    titles = [str(load_checkpoint(checkpoints(path)[0]).meta["name"]) for path in (baseline, run)]
    titles = [titles[0], f"{titles[1]}, each image by itself", f"{titles[1]}, {size} images at once"]
    lines = [heading("network", "trainings", "test accuracy in %", "least to most", f"less that of {titles[0]}")]
    for title, reached in zip(titles, (without, alone, together), strict=True):
        difference = "" if reached is without else spelled(welch_difference(reached, without), 2)
        spread = f"{min(reached):.2f} to {max(reached):.2f}"
        lines.append(row(title, len(reached), spelled(mean_of(reached), 2), spread, difference))
    return [*lines, ""]


def actions(
    models: Sequence[Classifier], acting: Sequence[Answers], images: Tensor, labels: Tensor, *, size: int
) -> list[str]:
    """A row for each network: its weights, and the loss and accuracy with weights less those without."""
    rows, losses, rights = [], [], []
    for number, (model, together) in enumerate(zip(models, acting, strict=True)):
        alone = answers(model, images, labels, size)
        with acting_in_evaluation(model):
            spread = spreads(model, images, size)
        loss = paired_difference(together.losses.tolist(), alone.losses.tolist())
        right = paired_difference((100 * together.right).tolist(), (100 * alone.right).tolist())
        losses.append(loss)
        rights.append(right)
        deviations = " · ".join(f"{one:.3f}" for one in spread.values())
        rows.append(row(number, deviations, f"{alone.losses.mean():.4f}", spelled(loss, 4), spelled(right, 2)))
    head = heading(
        "seed", f"deviation of the weights: {' · '.join(spread)}", "loss off", "loss on − off", "accuracy on − off"
    )
    seen = sum(one.leaves_out_zero for one in losses), sum(one.leaves_out_zero for one in rights)
    means = [mean_of([one.value for one in several]) for several in (losses, rights)]
    return [
        head,
        *rows,
        "",
        f"On and off differ in loss in {seen[0]}, in accuracy in {seen[1]} of {len(models)} trainings, beyond the "
        f"interval over {len(labels)} images, {size} in a batch. Over the trainings: loss {spelled(means[0], 4)}, "
        f"accuracy {spelled(means[1], 2)} points.",
        "",
    ]


def inference(models: Sequence[Classifier], images: Tensor, labels: Tensor) -> list[str]:
    """A row for each batch size: accuracy, how far it is from that of one image at a time, loss, and other answers.

    Intervals are over the trainings; Wilson's, over the images, for the accuracy of a single one.
    """
    alone: list[Answers] = []
    lines = [heading("images at once", "accuracy in %", "less that of one at a time", "mean loss", "other answers")]
    for size in SIZES:
        found = [acting_answers(model, images, labels, size) for model in models]
        alone = alone or found
        reached, first = ([float(one.right.mean()) for one in several] for several in (found, alone))
        accuracy = mean_of(reached) if len(models) > 1 else proportion(int(found[0].right.sum()), len(labels))
        further = paired_difference(reached, first)
        other = sum(int((one.predicted != before.predicted).sum()) for one, before in zip(found, alone, strict=True))
        loss = np.mean([one.losses.mean() for one in found])
        cells = (spelled(accuracy, 2, unit=100), spelled(further, 2, unit=100) if len(models) > 1 else "")
        lines.append(row(size, *cells, f"{loss:.4f}", f"{other} of {len(labels) * len(models):,}"))
    return [*lines, ""]


def spelled(interval: ConfidenceInterval, digits: int, *, unit: float = 1) -> str:
    """The number with its interval."""
    value, low, high = (f"{unit * one:.{digits}f}" for one in (interval.value, interval.low, interval.high))
    return value if np.isnan(interval.low) else f"{value} ({low} to {high})"


def heading(*titles: str) -> str:
    """The first two lines of a table."""
    return f"{row(*titles)}\n|{'---|' * len(titles)}"


def row(*cells: object) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
