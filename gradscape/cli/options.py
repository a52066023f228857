"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from gradscape.cli.numbers import MOST_BATCH, MOST_IMAGES, MOST_SEED, positive
from gradscape.cli.output_paths import check_output

__all__ = [
    "AllowPlanChange",
    "BatchNorm",
    "BatchSize",
    "Calibration",
    "Checkpoint",
    "Checkpoints",
    "Data",
    "DataRoot",
    "Device",
    "Download",
    "Estimator",
    "Ignore",
    "Limit",
    "Loss",
    "Metric",
    "Normalize",
    "Output",
    "Parameters",
    "Plan",
    "Precision",
    "Profile",
    "Quiet",
    "Ray",
    "Seed",
    "Space",
    "SplitName",
    "Time",
    "Tolerance",
]

Checkpoint = Annotated[Path, typer.Argument(metavar="CKPT", help="A .safetensors checkpoint.")]
Checkpoints = Annotated[list[Path], typer.Argument(metavar="CKPT...", help="One or more .safetensors checkpoints.")]
Data = Annotated[
    str,
    typer.Option(
        help="Data set: digits, cifar10, cifar100, cub200, fashion_mnist, food101, imagenet, imagenet32, "
        "stanford_dogs, tiny_imagenet, folder:PATH, npz:PATH, noise:N or package.module:function; for detectors and "
        "segmenters coco:PATH or voc:PATH."
    ),
]
DataRoot = Annotated[Path | None, typer.Option(help="Folder of the data sets; else GRADSCAPE_DATA_ROOT.")]
Download = Annotated[bool, typer.Option("--download", help="Fetch a published data set that is not there.")]
SplitName = Annotated[
    str, typer.Option("--split", help="train or test; data without a split of their own are taken whole.")
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, max=MOST_IMAGES, help="Take a class-balanced, seeded subset of so many images."),
]
Seed = Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of everything random.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, or one of several: cuda:1.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Where to write.", callback=check_output)]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but mistakes.")]
Loss = Annotated[
    str,
    typer.Option(help="cross_entropy, focal, bce_with_logits, mse, nll, or package.module:function: one per image."),
]
Metric = Annotated[
    str, typer.Option(help="top1, top5, binary, none, or package.module:function, right or wrong per image.")
]
OwnLoss = Annotated[
    str | None,
    typer.Option(
        "--loss",
        help="cross_entropy, focal, bce_with_logits, mse, nll, or package.module:function: one per image; of detectors "
        "detection_loss or one of torchvision's names, of segmenters pixel_cross_entropy; by default that of its kind.",
    ),
]
OwnMetric = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="top1, top5, binary, pixel_accuracy, detection_ap50, none, or package.module:function, right or "
        "wrong per image; by default that of its kind: none of detectors.",
    ),
]
Precision = Annotated[str, typer.Option(help="fp32 or bf16; auto is fp32, or that of the file or plan followed.")]
Plan = Annotated[
    Path | None, typer.Option(help="Follow the plan of this surface or line file, for the same numbers to the bit.")
]
Normalize = Annotated[
    str | None,
    typer.Option(help="Of random directions: filter (the default), layer, weight, dfilter, dlayer or none."),
]
Ignore = Annotated[
    str | None,
    typer.Option(
        help="Of random directions: biasbn (the default): biases and batch-norm parameters stay in place; none: they "
        "move."
    ),
]
Space = Annotated[
    str | None,
    typer.Option(
        help="weights: parameters move (the default); states: with --ignore none running statistics too (the default "
        "of plane:B,C)."
    ),
]
Parameters = Annotated[
    str, typer.Option(help="Names that move, as patterns: 'layer4*', all but the head '!head*', or trainable.")
]
BatchNorm = Annotated[
    str | None,
    typer.Option(
        help="Running statistics of batch norms: stored (they stay), moving (along with the directions), or "
        "recalibrated at every point; by default as the directions say."
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        metavar="DATA", help="Recalibrate on 2,000 training images of this data set; by default on those of --data."
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, max=MOST_BATCH, help="Images in a forward pass; else the best is found.")
]
Estimator = Annotated[
    str,
    typer.Option(
        help="mean: every point sees the same images; regression: few points see many images, and estimates for all "
        "follow, with smaller standard errors where --time or --tolerance stops; auto takes what pays."
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(
        help="Stop at this median standard error, as a share of the range of the loss.",
        callback=positive("--tolerance"),
    ),
]
Time = Annotated[
    float | None,
    typer.Option(
        "--time",
        metavar="SECONDS",
        help="Stop evaluating so many seconds after the start.",
        callback=positive("--time"),
    ),
]
Ray = Annotated[
    str | None, typer.Option(help="Evaluate in processes of Ray: local, auto (the cluster of this node) or HOST:PORT.")
]
Profile = Annotated[
    bool,
    typer.Option("--profile", help="Print at the end where the time went: data, planning, points, writing, drawing."),
]
AllowPlanChange = Annotated[
    bool,
    typer.Option(
        "--allow-plan-change", help="Go on with a file, or follow a plan, of another device or with other threads."
    ),
]
