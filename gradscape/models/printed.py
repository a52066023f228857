"""What the papers print about sizes: one row for each number in printed.csv, with our count and its verdict."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

__all__ = ["COMBINATIONS", "PRINTED", "PrintedSize", "Quantity", "Verdict"]

Quantity = Literal["parameters", "statistics", "parameters and statistics", "macs", "operations"]
Verdict = Literal["hit", "miss", "contradiction"]


@dataclass(frozen=True)
class PrintedSize:
    """One number of a paper's table.

    Attributes:
        model: The model's name, with the options and attentions that belong to the row.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
        quantity: What is counted: "parameters"; "statistics" (running means and variances); both together; "macs"
            (multiply-adds of convolution and linear layers); "operations" (as SPANet's authors count).
        printed: As printed: 1.49M, 4.262G, or 2,892,970.
        count: What our network has.
        paper: The paper.
        table: The table's number, or where else it stands.
        accuracy: Printed accuracy in percent, where the row has an efficiency.
        efficiency: Printed accuracy in percent per million parameters.
        verdict: "hit": the count, rounded or cut as it is printed, is the printed number, and so is the efficiency if
            there is one. "contradiction": the paper contradicts itself, or the network that it names. "miss": no
            version of the network has the number.
        reason: What is behind a verdict that is not a plain hit.
    """

    model: str
    num_classes: int
    image_size: int
    quantity: Quantity
    printed: str
    count: int
    paper: str
    table: str
    accuracy: float | None
    efficiency: float | None
    verdict: Verdict
    reason: str

    def __post_init__(self) -> None:
        if self.quantity not in get_args(Quantity) or self.verdict not in get_args(Verdict):
            raise ValueError(f"`quantity` and `verdict` must be known, got {self.quantity!r} and {self.verdict!r}")


def _read_rows() -> tuple[PrintedSize, ...]:
    text = files("gradscape.models").joinpath("printed.csv").read_text(encoding="utf-8")
    return tuple(
        PrintedSize(
            **{
                **row,
                "num_classes": int(row["num_classes"]),
                "image_size": int(row["image_size"]),
                "count": int(row["count"]),
                "accuracy": float(row["accuracy"]) if row["accuracy"] else None,
                "efficiency": float(row["efficiency"]) if row["efficiency"] else None,
            }  # type: ignore[arg-type]
        )
        for row in csv.DictReader(text.splitlines())
    )


PRINTED = _read_rows()

COMBINATIONS = tuple(sorted({row.model for row in PRINTED if "+" in row.model}))
"""The networks with attention that the papers print sizes of."""
