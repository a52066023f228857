"""The table of all models: a line for each, everything about one, and all of it as a page."""

import os
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from gradscape._files import replacing_text
from gradscape.models import ModelDescription, PrintedCell
from gradscape.studies.papers.published import PAPERS

__all__ = ["HEADINGS", "describe_model", "list_models_briefly", "tabulate_models", "write_model_table"]

HEADINGS = ("model", "classes ", "pixels ", "parameters ", "MACs ", "accuracy/M ", "paper", "printed: verdict")

_NAME_WIDTH = 28  # of all but a few; longer ones push their line to the right
_LINE_WIDTH = 80
_MOST_LINES = 9  # below the headings, as far as there are no more backbones


def list_models_briefly(described: Sequence[ModelDescription]) -> list[str]:
    """Return lines about models below one of headings: name, size, printed numbers that it has, paper.

    Each has a line for itself; of more than nine, those with attention or options are behind or below their backbone,
    with their parameters alone.

    Args:
        described: The models.
    """
    lines = [_columns("model", "parameters", "MACs", "printed") + "  paper"]
    if len(described) <= _MOST_LINES:
        return [*lines, *map(_line, described)]
    families = dict[str, list[ModelDescription]]()
    for model in described:
        families.setdefault(_backbone(model.name), []).append(model)
    for backbone, models in families.items():
        alone = [model for model in models if model.name == backbone]
        variants = [model for model in models if model.name != backbone]
        lines += map(_line, alone)
        lines += _variant_lines("" if alone else backbone, variants) if variants else []
    return lines


def _line(model: ModelDescription) -> str:
    hits = sum(row.verdict == "hit" for row in model.printed)
    printed = f"{hits} of {len(model.printed)}" if model.printed else ""
    line = _columns(model.name, _megas(model.parameters), f"{model.macs / 1e6:,.0f} M", printed)
    papers = [paper.partition(", ")[0] for paper in model.paper.split("; ") if ", " in paper] or [model.paper]
    told = (f"{line}  {' + '.join(some)}" for some in (papers, papers[-1:]))
    return next((longer for longer in told if len(longer) <= _LINE_WIDTH), line).rstrip()


def _columns(name: str, parameters: str, macs: str, printed: str) -> str:
    return f"{name:<{_NAME_WIDTH}} {parameters:>10} {macs:>8}  {printed:<7}"


def _variant_lines(backbone: str, variants: Sequence[ModelDescription]) -> list[str]:
    """Lines of networks with attention or options, each with its parameters, behind their backbone's name if any."""
    margin = " " * (_NAME_WIDTH + 1)
    named = (f"{model.name.removeprefix(_backbone(model.name))} {_megas(model.parameters)}" for model in variants)
    text = "; ".join(one.replace(" ", "\N{NO-BREAK SPACE}") for one in named)
    broken = textwrap.wrap(
        text,
        _LINE_WIDTH,
        initial_indent=f"{backbone:<{_NAME_WIDTH}} ",
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    # What is longer than the space behind the names begins further to the left.
    whole = (line if len(line) <= _LINE_WIDTH else line.strip().rjust(_LINE_WIDTH) for line in broken)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in whole]


def _backbone(name: str) -> str:
    """A model's name without attention and options."""
    return re.split("[+@]", name, maxsplit=1)[0]


def describe_model(model: ModelDescription) -> list[str]:
    """Return lines with everything about one model.

    Args:
        model: The model.
    """
    facts = [
        ("paper", model.paper),
        ("measured for", f"{model.num_classes} classes, {model.image_size} × {model.image_size} pixels"),
        ("parameters", f"{model.parameters:,}"),
        ("multiply-adds", f"{_millions(model.macs)} for an image"),
    ]
    facts += [
        (f"on {score.data}", f"{100 * score.accuracy:.2f} % after {score.epochs} epochs, our own training")
        for score in model.measured
    ]
    facts += [("option", option) for option in model.options]
    for row in model.printed:
        facts += [("printed", _told(row)), *([("", row.reason)] if row.reason else [])]
    return [model.name, *(f"  {heading:<14} {text}" for heading, text in facts)]


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
            _millions(model.macs),
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
    with replacing_text(path) as file:
        file.write("\n".join(lines) + "\n")


def _spelled(row: PrintedCell) -> str:
    counted = {"parameters": "", "efficiency": " acc/M"}.get(row.quantity, f" {row.quantity}")
    where = "" if "+" in row.model or "@" not in row.model else f" (@{row.model.partition('@')[2]})"
    return f"{row.printed}{counted}{where}: {row.verdict}"


def _told(row: PrintedCell) -> str:
    """A printed number, where it stands, and whether the network has it."""
    kind = "figure" if row.paper == PAPERS["residual_attention"] else "table"  # the report calls its tables so
    return f"{_spelled(row)} ({kind} {row.table} of {row.paper}, {row.num_classes} classes)"


def _megas(count: int) -> str:
    return f"{count / 1e6:,.2f} M"


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
