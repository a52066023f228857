"""A paper's table as Markdown, LaTeX, csv, and text for a terminal."""

import csv
import io
import math
import os
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from gradscape._files import replacing_text
from gradscape._names import unknown_name
from gradscape.studies.papers.paper_table import PaperTable, find_table
from gradscape.studies.papers.table_lines import TableLine, gather_lines
from gradscape.studies.papers.table_page import TablePage, lay_out
from gradscape.studies.papers.training_log import load_logs

__all__ = ["FORMATS", "set_csv", "set_latex", "set_markdown", "set_table", "set_text", "write_table"]

_SHORTEST_NAME = 14
_WIDTH = 80
_GAPS = (2, 1)  # between columns, the second where the first leaves no room for names
_INDENT = "\N{EN SPACE}"  # which is no white space to wrap at
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
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "≠": r"$\neq$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
        "²": r"\textsuperscript{2}",
        "*": r"\textsuperscript{*}",
        _INDENT: r"\quad ",
    }
)
_MARKDOWN = str.maketrans({"&": "&amp;", "<": "&lt;", **{sign: f"\\{sign}" for sign in "\\|*_[]"}})


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
        *(" & ".join(map(_escaped, row)) + r" \\" for row in _without_repeats(page.rows)),
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
            own: tuple[str, ...] = ("",) * 6
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
    """Columns for a terminal of 80; changes and intervals that papers set behind their numbers are left out.

    Args:
        table: The table.
        lines: What `gather_lines` gave of it.
    """
    page = lay_out(table, lines, brief=True)
    words = len(page.names)
    labels = _spread(page, [column.label for column in page.columns])
    units = _spread(page, [f"({column.unit})" if column.unit else "" for column in page.columns])
    parts = [part if len(column.parts) > 1 else "" for column in page.columns for part in column.parts]
    above = [row for row in (labels, units, ("",) * words + tuple(parts)) if any(row)]
    headings = [*above[:-1], (*page.names, *above[-1][words:])]
    rows = _without_repeats(page.rows)
    for gap in _GAPS:
        widths = [max(len(row[place]) for row in (headings[-1], *rows)) for place in range(words + len(parts))]
        _widen(widths, page, gap)
        room = _WIDTH - sum(widths[1:]) - gap * (len(widths) - 1)
        if room >= min(widths[0], _SHORTEST_NAME):
            break
    widths[0] = min(widths[0], max(_SHORTEST_NAME, room))
    body = [_aligned(row, widths, words, gap) for row in headings]
    for row in rows:
        first, *rest = textwrap.wrap(row[0], widths[0], subsequent_indent="  ") or [""]
        body += [_aligned((first, *row[1:]), widths, words, gap), *rest]
    notes = [line for note in page.notes for line in textwrap.wrap(note, _WIDTH, subsequent_indent="  ")]
    heading = textwrap.wrap(page.heading, _WIDTH)
    return "\n".join([*heading, "", *body, *([""] if notes else []), *notes])


def _spread(page: TablePage, titles: Sequence[str]) -> tuple[str, ...]:
    """A text over the last part of every column, as wide as the table."""
    cells = ["" for _ in page.names]
    for column, title in zip(page.columns, titles, strict=True):
        cells += [*("" for _ in column.parts[1:]), title]
    return tuple(cells)


def _widen(widths: list[int], page: TablePage, gap: int) -> None:
    """Give the last column under a title as much room as the title needs beside it."""
    place = len(page.names)
    for column in page.columns:
        place += len(column.parts)
        needed = max(len(column.label), len(column.unit) + 2)
        free = widths[place - 2] + gap if len(column.parts) > 1 else 0
        widths[place - 1] = max(widths[place - 1], needed - free if free else needed)


def _without_repeats(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """What the name above says already is left out: all of a name that comes again, or its beginning."""
    shortened, above = [], ""
    for name, *rest in rows:
        if name == above:
            shortened.append(("", *rest))
        elif above and name.startswith(f"{above}, "):
            shortened.append((_INDENT + name.removeprefix(f"{above}, "), *rest))
        else:
            shortened.append((name, *rest))
            above = name
    return shortened


def _aligned(row: Sequence[str], widths: Sequence[int], words: int, gap: int) -> str:
    """Words to the left, numbers to the right."""
    line = (gap * " ").join(f"{text:<{width}}" for text, width in zip(row[:words], widths[:words], strict=True))
    end = len(line)
    for text, width in zip(row[words:], widths[words:], strict=True):
        end += gap + width
        line = f"{line.rstrip() if text else line:<{end - len(text)}}{text}"
    return line.rstrip()


def _piped(row: Sequence[str]) -> str:
    return f"| {' | '.join(_unmarked(text) for text in row)} |"


def _unmarked(text: str) -> str:
    """Without a meaning in Markdown or in HTML; what stands between backticks is code for both."""
    return text.translate(_MARKDOWN)


def _escaped(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"\\texttt{\1}", text.translate(_LATEX))


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
    with replacing_text(path) as file:
        file.write(text)
