"""The table of all models: for the terminal, and as a page."""

import os
from collections.abc import Sequence
from pathlib import Path

from gradscape._files import replacing
from gradscape.models import ModelDescription, PrintedSize

__all__ = ["HEADINGS", "tabulate_models", "write_model_table"]

HEADINGS = ("model", "classes ", "pixels ", "parameters ", "MACs ", "accuracy/M ", "paper", "printed: verdict")


def tabulate_models(described: Sequence[ModelDescription]) -> list[tuple[str, ...]]:
    """Return a row of text for each model, under `HEADINGS`.

    Args:
        described: The models.
    """
    return [
        (
            model.name,
            str(model.num_classes),
            str(model.image_size),
            f"{model.parameters:,}",
            f"{model.macs / 1e6:,.1f} M",
            "; ".join(f"{score.efficiency:.2f}" for score in model.measured),
            model.paper,
            "; ".join(_spelled(row) for row in model.printed),
        )
        for model in described
    ]


def write_model_table(described: Sequence[ModelDescription], path: str | os.PathLike[str]) -> None:
    """Write the table and the reasons behind it as a page in Markdown, all at once or not at all.

    Args:
        described: The models.
        path: The file.
    """
    lines = [
        "# Models",
        "",
        f"Written by `gradscape models -o {Path(path).name}`. Parameters and multiply-adds (MACs, of convolution and "
        "linear layers, one image) are counted on the network itself, for the classes and pixels given. "
        "*accuracy/M* is our own test accuracy on digits in percent over millions of parameters, by "
        "`python benchmarks/leads_on_digits.py`. Behind each printed number stands whether the network has it: "
        "**hit**, **miss**, or **contradiction** where the paper contradicts itself; reasons below.",
        "",
        _markdown([heading.strip() for heading in HEADINGS]),
        _markdown(["---:" if heading.endswith(" ") else "---" for heading in HEADINGS]),
        *(_markdown(row) for row in tabulate_models(described)),
        "",
        "## Printed numbers that are no plain hits",
        "",
    ]
    headings = ("paper", "table", "model", "classes", "counted", "printed", "ours", "verdict", "reason")
    lines += [_markdown(headings), _markdown(["---"] * len(headings))]
    lines += [
        _markdown(
            (
                row.paper,
                row.table,
                row.model,
                str(row.num_classes),
                row.quantity,
                row.printed,
                f"{row.count:,}",
                row.verdict,
                row.reason,
            )
        )
        for model in described
        for row in model.printed
        if row.reason
    ]
    with replacing(Path(path)) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _spelled(row: PrintedSize) -> str:
    counted = "" if row.quantity == "parameters" else f" {row.quantity}"
    where = "" if "+" in row.model or "@" not in row.model else f" (@{row.model.partition('@')[2]})"
    return f"{row.printed}{counted}{where}: {row.verdict}"


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
