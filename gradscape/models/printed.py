"""What the papers print: one line of printed.csv for each number of their tables, with our count and its verdict."""

import csv
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

__all__ = [
    "CELLS",
    "COMBINATIONS",
    "COUNTED",
    "DETECTORS",
    "PRINTED",
    "SIZES",
    "TESTED_ON",
    "PrintedCell",
    "Quantity",
    "Verdict",
]

Quantity = Literal[
    "parameters",
    "statistics",
    "parameters and statistics",
    "parameters of the head",
    "trained parameters",
    "macs",
    "operations",
    "accuracy",
    "accuracy (share)",
    "top-5 accuracy",
    "error",
    "error (share)",
    "top-5 error",
    "spread",
    "loss",
    "seconds",
    "efficiency",
    "recall",
    "mAP",
    "AP",
    "AP50",
    "AP75",
    "AP small",
    "AP medium",
    "AP large",
    "parameters, ratio",
    "macs, ratio",
    "change of parameters",
    "change of macs",
    "change of error",
    "change of top-5 error",
    "change of recall",
    "change of mAP",
    "change of AP",
    "change of AP50",
    "change of AP75",
    "change of AP small",
    "change of AP medium",
    "change of AP large",
]
Verdict = Literal["hit", "miss", "contradiction", "not built", "needs training"]

SIZES: tuple[Quantity, ...] = get_args(Quantity)[:7]
"""What is counted on a network."""

COUNTED: tuple[Quantity, ...] = (*SIZES, "efficiency")
"""What a network's size decides."""

TESTED_ON = {
    "cifar10": (10, 32),
    "cifar100": (100, 32),
    "tiny_imagenet": (200, 64),
    "imagenet32": (1000, 32),
    "imagenet": (1000, 224),
    "imagenet299": (1000, 299),
    "food101": (101, 224),
    "cub200": (200, 224),
    "stanford_dogs": (120, 224),
    "coco": (80, 800),
    "voc2007": (20, 600),
}
"""The papers' data sets: number of classes, and the side of images that a network is given."""

_FACTORS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "×": 1.0}


@dataclass(frozen=True)
class PrintedCell:
    """One number of a paper's table.

    Attributes:
        paper: The paper.
        table: The table's number; of the report on residual attention, whose tables are called figures, the figure's.
        row: What the row is called there; where columns stand for networks too, both.
        column: What the column is called there.
        data: Name of the data set; "" for a module alone.
        quantity: What the number is. "statistics" are running means and variances; "trained parameters" are those of a
            detector but for its backbone's stem and first stage, which mmdetection freezes; "macs" multiply-adds of
            convolution and linear layers; "operations" are counted as SPANet's authors do, a detector's for 1280 × 800
            pixels; "spread" is the standard deviation of several trainings; "efficiency" is percent of accuracy per
            million parameters; a "change" is one from the network without attention, a "ratio" one to ULSAM's.
            Accuracies and errors are in percent if no "(share)".
        printed: As printed: 1.49M, 4.262G, 2,892,970 or 94.66; the column's unit is added.
        model: The network, with the options and attentions that belong to the number; "" if none is here.
        count: What our network has, or what the number follows from; None for what only training tells.
        verdict: "hit": the count, rounded or cut as it is printed, is the printed number. "contradiction": the paper
            contradicts itself, or the network that it names. "miss": no version of the network has the number.
            "not built": there is no such network here. "needs training": a result of training.
        reason: What is behind a verdict that is not a plain hit.
    """

    paper: str
    table: str
    row: str
    column: str
    data: str
    quantity: Quantity
    printed: str
    model: str
    count: int | None
    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        if self.quantity not in get_args(Quantity) or self.verdict not in get_args(Verdict):
            raise ValueError(f"`quantity` and `verdict` must be known, got {self.quantity!r} and {self.verdict!r}")
        if self.data and self.data not in TESTED_ON:
            raise ValueError(f"`data` must be one of {', '.join(TESTED_ON)}, got {self.data!r}")

    @property
    def num_classes(self) -> int:
        """Number of classes of the data."""
        return TESTED_ON[self.data][0]

    @property
    def image_size(self) -> int:
        """Side of the images in pixels."""
        return TESTED_ON[self.data][1]

    @property
    def number(self) -> str:
        """The printed digits, without the unit."""
        return self.printed.rstrip("KMG×")

    @property
    def unit(self) -> str:
        """K, M or G for thousands, millions and billions, × for a ratio, or nothing."""
        return self.printed[len(self.number) :]

    @property
    def factor(self) -> float:
        """What the unit stands for."""
        return _FACTORS[self.unit]

    @property
    def value(self) -> float:
        """The printed number in its unit, such as 1.49."""
        return float(re.sub(",", "", self.number).replace("−", "-"))

    @property
    def decimals(self) -> int:
        """How many digits are printed behind the point."""
        return len(self.number.partition(".")[2])


def _read_cells() -> tuple[PrintedCell, ...]:
    text = files("gradscape.models").joinpath("printed.csv").read_text(encoding="utf-8")
    return tuple(
        PrintedCell(**{**row, "count": int(row["count"]) if row["count"] else None})  # type: ignore[arg-type]
        for row in csv.DictReader(text.splitlines())
    )


CELLS = _read_cells()
"""All numbers of the papers' tables, in the tables' order."""

PRINTED = tuple(cell for cell in CELLS if cell.model and cell.quantity in SIZES and cell.count is not None)
"""The sizes among them that are counted on a network."""

COMBINATIONS = tuple(sorted({cell.model for cell in PRINTED if "+" in cell.model and ":" not in cell.model}))
"""The networks with attention that the papers print sizes of."""

DETECTORS = tuple(sorted({cell.model for cell in CELLS if re.match(r"[a-z_]+:", cell.model)}))
"""The detectors that the papers print numbers of."""
