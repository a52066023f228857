"""A paper's table as Markdown, LaTeX, csv, and text for a terminal."""

import csv
import io
import math
import os
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from gradscape._files import replacing
from gradscape._names import unknown_name
from gradscape.studies.papers.paper_table import PaperTable, find_table
from gradscape.studies.papers.table_lines import TableLine, gather_lines
from gradscape.studies.papers.table_page import TablePage, lay_out
from gradscape.studies.papers.training_log import load_logs

__all__ = ["FORMATS", "set_csv", "set_latex", "set_markdown", "set_table", "set_text", "write_table"]

_LONGEST_NAME = 30
_WIDTH = 80
_GAP = "  "
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "≠": r"$\neq$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
        "²": r"\textsuperscript{2}",
        "*": r"\textsuperscript{*}",
    }
)


def set_markdown(table: PaperTable, lines: Sequence[TableLine]) -> str:
    """A table of GitHub's Markdown, with notes as a list.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
    """
    page = lay_out(table, lines)
    headings = [*page.names, *(f"{column.title}, {part}" for column in page.columns for part in column.parts)]
    rule = [*("---" for _ in page.names), *("---:" for column in page.columns for _ in column.parts)]
    body = [headings, rule, *page.rows]
    notes = [f"- {_unmarked(note)}" for note in page.notes]
    return "\n".join([f"**{_unmarked(page.heading)}**", "", *map(_piped, body), "", *notes]).rstrip() + "\n"


def set_latex(table: PaperTable, lines: Sequence[TableLine]) -> str:
    r"""A `table` of LaTeX with the rules of booktabs: `\usepackage{booktabs}`.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
    """
    page = lay_out(table, lines)
    parts = [part for column in page.columns for part in column.parts]
    titles, rules, place = [], [], len(page.names) + 1
    for column in page.columns:
        width = len(column.parts)
        title = _escaped(column.title)
        titles.append(rf"\multicolumn{{{width}}}{{c}}{{{title}}}")
        rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    names = [_escaped(name) for name in page.names]
    body = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(page.heading)}}}",
        rf"\begin{{tabular}}{{{'l' * len(names)}{'r' * len(parts)}}}",
        r"\toprule",
        " & ".join(["" for _ in names] + titles).strip() + r" \\",
        " ".join(rules),
        " & ".join([*names, *parts]) + r" \\",
        r"\midrule",
        *(" & ".join(map(_escaped, row)) + r" \\" for row in page.rows),
        r"\bottomrule",
        r"\end{tabular}",
        *((r"\par\smallskip\footnotesize\raggedright",) if page.notes else ()),
        *(f"{_escaped(note)}." + r"\par" for note in page.notes),
        r"\end{table}",
    ]
    return "\n".join(body) + "\n"


def set_csv(table: PaperTable, lines: Sequence[TableLine]) -> str:
    """A line for each printed number, with everything that is known about it, in full precision.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        (
            *("paper", "table", "row", "column", "data", "quantity", "printed", "model", "count", "verdict", "reason"),
            *("measured", "low", "high", "interval", "trainings", "measured on"),
        )
    )
    for line in lines:
        for cell in (*line.cells.values(), *line.changes.values()):
            interval = line.measured.intervals.get(cell.quantity) if line.measured else None
            known = "" if cell.count is None else str(cell.count)
            printed = (cell.row, cell.column, cell.data, cell.quantity, cell.printed, cell.model, known)
            own = ("",) * 6
            if interval is not None and line.measured is not None:
                numbers = (interval.value, interval.low, interval.high)
                own = (
                    *("" if math.isnan(number) else repr(number) for number in numbers),
                    "" if math.isnan(interval.low) else interval.method,
                    str(line.measured.trainings),
                    line.measured.data,
                )
            writer.writerow((cell.paper, cell.table, *printed, cell.verdict, cell.reason, *own))
    return file.getvalue()


def set_text(table: PaperTable, lines: Sequence[TableLine]) -> str:
    """Columns for a terminal of 80, where the changes that papers print behind their numbers are left out.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
    """
    page = lay_out(table, lines, changes=False)
    words = len(page.names)
    below = [*page.names, *(part for column in page.columns for part in column.parts)]
    widths = [max(len(row[place]) for row in (below, *page.rows)) for place in range(len(below))]
    widths[0] = min(widths[0], _LONGEST_NAME)
    _widen(widths, page)
    body = []
    for row in page.rows:
        first, *rest = textwrap.wrap(row[0], widths[0], subsequent_indent="  ")
        body += [_aligned((first, *row[1:]), widths, words), *rest]
    notes = [line for note in page.notes for line in textwrap.wrap(note, _WIDTH, subsequent_indent="  ")]
    headings = [_titles(widths, page), _aligned(below, widths, words)]
    return "\n".join([page.heading, "", *headings, *body, *([""] if notes else []), *notes])


def _widen(widths: list[int], page: TablePage) -> None:
    """Give columns under one title as much room as it needs."""
    place = len(page.names)
    for column in page.columns:
        span = slice(place, place + len(column.parts))
        missing = len(column.title) - sum(widths[span]) - len(_GAP) * (len(column.parts) - 1)
        widths[span.stop - 1] += max(0, missing)
        place = span.stop


def _titles(widths: Sequence[int], page: TablePage) -> str:
    """What stands above the columns, each over its parts."""
    place = len(page.names)
    line = _GAP.join(" " * width for width in widths[:place])
    for column in page.columns:
        span = widths[place : place + len(column.parts)]
        line += _GAP + f"{column.title:>{sum(span) + len(_GAP) * (len(span) - 1)}}"
        place += len(span)
    return line.rstrip()


def _aligned(row: Sequence[str], widths: Sequence[int], words: int) -> str:
    """Words to the left, numbers to the right."""
    cells = [
        f"{text:<{width}}" if place < words else f"{text:>{width}}"
        for place, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return _GAP.join(cells).rstrip()


def _piped(row: Sequence[str]) -> str:
    return f"| {' | '.join(_unmarked(text) for text in row)} |"


def _unmarked(text: str) -> str:
    """Without a meaning in Markdown."""
    return text.replace("|", r"\|").replace("*", r"\*").replace("_", r"\_")


def _escaped(text: str) -> str:
    return text.translate(_LATEX)


FORMATS: dict[str, Callable[[PaperTable, Sequence[TableLine]], str]] = {
    "md": set_markdown,
    "csv": set_csv,
    "tex": set_latex,
}


def set_table(name: str, paths: Sequence[Path] = (), *, form: str | None = None) -> str:
    """Set a table of a paper beside what is counted here, and what trainings reached.

    Args:
        name: The table, such as `spanet:III`.
        paths: Run folders of `gradscape train`, or checkpoints, of networks that the table has.
        form: One of `FORMATS`; None for columns on a terminal.

    Raises:
        ValueError: There is no such table or format, or a path holds no training of a network of the table.
        FileNotFoundError: A path is not there.
    """
    table = find_table(name)
    if form is not None and form not in FORMATS:
        raise unknown_name("--format", form, FORMATS)
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"there is no run folder or checkpoint {path}")
    lines = gather_lines(table, load_logs(paths) if paths else ())
    return set_text(table, lines) if form is None else FORMATS[form](table, lines)


def write_table(
    path: str | os.PathLike[str], name: str, paths: Sequence[Path] = (), *, form: str | None = None
) -> None:
    """Write what `set_table` gives, all at once or not at all.

    Args:
        path: The file.
        name: As for `set_table`.
        paths: As for `set_table`.
        form: As for `set_table`; None for the file's ending.

    Raises:
        ValueError: As for `set_table`, or the ending is none of `FORMATS`.
        FileNotFoundError: A path is not there.
    """
    form = form or Path(path).suffix.removeprefix(".")
    if form not in FORMATS:
        raise ValueError(f"`--output` must end in .{', .'.join(FORMATS)}, or `--format` say which, got {path}")
    text = set_table(name, paths, form=form)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
