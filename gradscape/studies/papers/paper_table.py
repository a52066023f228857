"""The papers' tables by name: what each shows, and how many numbers it prints."""

import re
from dataclasses import dataclass
from typing import final

from gradscape._names import unknown_name
from gradscape.models.printed import CELLS, PrintedCell
from gradscape.studies.papers.published import PAPERS

__all__ = ["TABLES", "WITHOUT_NUMBERS", "PaperTable", "find_table"]

_ROMAN = {1: "I", 4: "IV", 5: "V", 9: "IX", 10: "X"}


@final
@dataclass(frozen=True)
class PaperTable:
    """One table of a paper.

    Attributes:
        name: Such as `spanet:III`; of residual attention, whose tables are called figures, with the figure's number.
        title: What it shows.
        numbers: How many numbers the paper prints there, counted in its text.
    """

    name: str
    title: str
    numbers: int

    @property
    def heading(self) -> str:
        """Paper, number and title."""
        key, _, number = self.name.partition(":")
        word = "figure" if key == "residual_attention" else "table"
        return f"{PAPERS[key]}, {word} {number}: {self.title}"

    @property
    def cells(self) -> tuple[PrintedCell, ...]:
        """Its numbers, in its order."""
        key, _, number = self.name.partition(":")
        return tuple(cell for cell in CELLS if (cell.paper, cell.table) == (PAPERS[key], number))


def find_table(name: str) -> PaperTable:
    """Return a table by its name; `spanet:3` is `spanet:III`.

    Raises:
        ValueError: There is no such table, or it holds no accuracies, sizes or operations.
    """
    key, _, number = name.partition(":")
    for known in (name, f"{key}:{_roman(number)}"):
        if known in TABLES:
            return TABLES[known]
        if known in WITHOUT_NUMBERS:
            raise ValueError(f"{known} has nothing to compare: {WITHOUT_NUMBERS[known]}; see `gradscape table --list`")
    raise unknown_name("table", name, TABLES)


def _roman(number: str) -> str:
    """Digits as BA²M and SPANet number their tables; anything else as it is."""
    if not re.fullmatch(r"[1-9]\d?", number):
        return number
    left, letters = int(number), ""
    for value in sorted(_ROMAN, reverse=True):
        letters += _ROMAN[value] * (left // value)
        left %= value
    return letters


def _named(*tables: PaperTable) -> dict[str, PaperTable]:
    return {table.name: table for table in tables}


_ATTENTION_RUNS = {
    6: "CIFAR-10, Attention-56, ARL, mixed",
    10: "CIFAR-10, Attention-56, ARL, spatial",
    14: "CIFAR-10, Attention-56, NAL, mixed",
    18: "CIFAR-10, Attention-92, ARL, spatial",
    22: "CIFAR-100, Attention-56, NAL, mixed",
    26: "CIFAR-100, Attention-56, ARL, spatial",
}

TABLES = _named(
    PaperTable("upanets:2", "ends of UPANets16 on CIFAR-10 and CIFAR-100", 5 * 8),
    PaperTable("upanets:4", "UPANets and others on CIFAR-10", 19 * 3),
    PaperTable("upanets:5", "UPANets and others on CIFAR-100", 19 * 3),
    PaperTable("upanets:6", "UPANets64 and others on Tiny ImageNet", 5),
    PaperTable("upanets:7", "convolutions in place of fully connected layers", 2 * 8),
    PaperTable("upanets:8", "widths of the convolutions", 2 * 8),
    PaperTable("spanet:I", "accuracy on CIFAR-100", 6 * 3),
    PaperTable("spanet:II", "accuracy on downsampled ImageNet", 5 * 4),
    PaperTable("spanet:III", "accuracy and sizes on ImageNet, single crop", 10 * 4),
    PaperTable("spanet:IV", "connections of the attention and depths of the network, CIFAR-100", 6 * 3),
    PaperTable("spanet:V", "scales of the pyramid, ImageNet", 5 * 2),
    PaperTable("spanet:VI", "object detection, COCO", 6 * 8),
    PaperTable("ulsam:1", "what attentions cost, 512 channels of 14 × 14 pixels", 6 * 4),
    PaperTable("ulsam:6", "ULSAM added to MobileNets, ImageNet", 2 * 4 + 4 * 12),
    PaperTable("ulsam:7", "ULSAM in place of a layer of MobileNet-V1, ImageNet", 12 * 4),
    PaperTable("ulsam:8", "ULSAM in place of layers of MobileNet-V2, ImageNet", 4 * 4),
    PaperTable("ulsam:9", "ULSAM in MobileNet-V1, Food-101, birds and dogs", 5 * 8),
    PaperTable("ulsam:10", "ULSAM in MobileNet-V2, Food-101", 4 + 6 * 10),
    PaperTable("ulsam:11", "ULSAM in MobileNet-V2, birds", 4 + 6 * 10),
    PaperTable("ulsam:12", "ULSAM in MobileNet-V2, dogs", 4 + 6 * 10),
    PaperTable("residual_attention:1", "the original networks for ImageNet", 4),
    PaperTable("residual_attention:2", "the original's errors on CIFAR-10", 4 * 2),
    PaperTable("residual_attention:3", "the original's kinds of attention, CIFAR-10", 3),
    PaperTable("residual_attention:4", "the original's errors and sizes, ImageNet, single crop", 7 * 4 + 2 * 2),
    PaperTable("residual_attention:5", "sizes of the report's networks", 6),
    *(
        table
        for figure, run in _ATTENTION_RUNS.items()
        for table in (
            PaperTable(f"residual_attention:{figure}", f"size of {run}", 4),
            PaperTable(f"residual_attention:{figure + 1}", f"test of {run}", 2),
        )
    ),
    PaperTable("residual_attention:30", "test accuracies of the six trainings", 6),
    PaperTable("residual_attention:31", "time of an epoch of the six trainings", 6),
    PaperTable("ba2m:I", "error and sizes on CIFAR-100", 12 * 3 + 6),
    PaperTable("ba2m:II", "error and sizes on ImageNet", 12 * 3 + 6),
    PaperTable("ba2m:III", "object detection against focal loss, VOC 2007", 2 * 2 + 2),
    PaperTable("ba2m:IV", "object detection against hard example mining, VOC 2007", 3 * 2 + 2),
    PaperTable("ba2m:V", "attentions in ResNet-50 and ResNet-101, ImageNet", 10 * 8 + 3 + 8 + 8),
    PaperTable("ba2m:VI", "with other attentions, CIFAR-100", 8 * 3),
    PaperTable("ba2m:VII", "inside blocks or between, CIFAR-100", 2 * 2),
    PaperTable("ba2m:VIII", "reduction, CIFAR-100", 5 * 4),
    PaperTable("ba2m:IX", "branches, CIFAR-100", 7 * 2),
    PaperTable("ba2m:X", "light networks, CIFAR-100", 8 * 3 + 4),
    PaperTable("ba2m:XI", "attentions in many networks, CIFAR-100", 27 * 3 + 1 + 6),
    PaperTable("ba2m:XII", "attentions in many networks, ImageNet", 28 * 4 + 2 + 2 * 3 + 6 * 2),
    PaperTable("ba2m:XIII", "after which blocks, CIFAR-100", 16 * 2),
    PaperTable("ba2m:XIV", "object detection, Faster R-CNN, COCO", 4 * 6 + 2 * 6),
    PaperTable("ba2m:XV", "object detection, Mask R-CNN, COCO", 4 * 6 + 2 * 6),
    PaperTable("ba2m:XVI", "instance segmentation, Mask R-CNN, COCO", 4 * 6 + 2 * 6),
)
"""Those that hold accuracies, errors, sizes or operations; depths of networks and pictures of them are left out."""

WITHOUT_NUMBERS = {
    "upanets:1": "the layers of the network",
    "upanets:3": "its numbers are missing in the text at hand",
    "ulsam:2": "sizes of the data sets",
    "ulsam:3": "the layers of MobileNet-V1",
    "ulsam:4": "the layers that ULSAM comes between",
    "ulsam:5": "the layers of MobileNet-V2",
    "residual_attention:32": "who did what",
}
"""The papers' other tables, and what is in them."""
