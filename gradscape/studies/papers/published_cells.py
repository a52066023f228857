"""Which of the papers' numbers our networks have: a line a table, and as a page with every number that they lack."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from gradscape._files import replacing_text
from gradscape.models.printed import PrintedCell, Verdict
from gradscape.studies.papers.paper_table import TABLES, WITHOUT_NUMBERS, PaperTable
from gradscape.studies.papers.published import PAPERS

__all__ = ["TABLE_HEADINGS", "list_tables", "tabulate_tables", "write_published_cells"]

_VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_PLAIN = ("hit", "needs training")
_PLURALS = {"hit": "hits", "miss": "misses", "contradiction": "contradictions"}

TABLE_HEADINGS = ("table", "numbers ", *(f"{_PLURALS.get(verdict, verdict)} " for verdict in _VERDICTS), "unlisted ")


def tabulate_tables(tables: Sequence[PaperTable] = tuple(TABLES.values())) -> list[tuple[str, ...]]:
    """Return a row of text for each table, under `TABLE_HEADINGS`.

    Args:
        tables: The tables.
    """
    return [(table.name, *map(str, _counted([table]))) for table in tables]


def list_tables() -> list[str]:
    """Return a line for each table, below one of headings: its name, its numbers and hits, and what it shows."""
    rows = [("table", "numbers", "hits", "shows")]
    for table in TABLES.values():
        hits = sum(cell.verdict == "hit" for cell in table.cells)
        rows.append((table.name, str(table.numbers), str(hits) if hits else "", table.title))
    return [f"{name:<21} {numbers:>7} {hits:>4}  {title}" for name, numbers, hits, title in rows]


def write_published_cells(path: str | os.PathLike[str]) -> None:
    """Write how the papers' numbers fare as a page in Markdown, all at once or not at all.

    Args:
        path: The file.
    """
    lines = [
        "# Published numbers",
        "",
        f"Written by `gradscape table --list -o {Path(path).name}` from "
        "[printed.csv](../gradscape/models/printed.csv), which has a line for each number that the five papers' tables "
        "print, with its source, the network that it belongs to, our count and the verdict. "
        "`gradscape table spanet:III` shows one table beside what is counted here, `gradscape table spanet:III RUN…` "
        "beside what your trainings reached.",
        "",
        "- **hits**: our count, rounded or cut as it is printed, is the number; or it follows from others of its row, "
        "as efficiencies do",
        "- **misses**: no version of the network has the number",
        "- **contradictions**: the paper contradicts itself, or the network that it names",
        "- **not built**: there is no such network here",
        "- **needs training**: accuracies, errors and times, which only trainings tell",
        "- **unlisted**: numbers of the paper's table that the file lacks",
        "",
        *_summary(),
        "",
        *_by_paper(),
        "## Tables that hold other things",
        "",
        *(f"- {name}: {what}" for name, what in WITHOUT_NUMBERS.items()),
    ]
    with replacing_text(path) as file:
        file.write("\n".join(lines) + "\n")


def _counted(tables: Sequence[PaperTable]) -> list[int]:
    cells = [cell for table in tables for cell in table.cells]
    verdicts = Counter(cell.verdict for cell in cells)
    numbers = sum(table.numbers for table in tables)
    return [numbers, *(verdicts[verdict] for verdict in _VERDICTS), numbers - len(cells)]


def _of(key: str) -> list[PaperTable]:
    return [table for name, table in TABLES.items() if name.partition(":")[0] == key]


def _summary() -> list[str]:
    rows = [(paper, *map(str, _counted(_of(key)))) for key, paper in PAPERS.items()]
    total = ("**all**", *(f"**{count}**" for count in _counted(list(TABLES.values()))))
    return [*_ruled(("paper", *TABLE_HEADINGS[1:])), *map(_line, [*rows, total])]


def _by_paper() -> list[str]:
    lines: list[str] = []
    for key, paper in PAPERS.items():
        tables = _of(key)
        lines += [f"## {paper}", "", *_ruled((*TABLE_HEADINGS, "shows"))]
        lines += [_line((*row, table.title)) for row, table in zip(tabulate_tables(tables), tables, strict=True)]
        lines += ["", *_exceptions([cell for table in tables for cell in table.cells])]
    return lines


def _exceptions(cells: Sequence[PrintedCell]) -> list[str]:
    told = [cell for cell in cells if cell.verdict not in _PLAIN or cell.reason]
    rows = [
        _line(
            (
                cell.table,
                cell.row,
                cell.data,
                cell.quantity,
                cell.printed,
                "" if cell.count is None else f"{cell.count:,}",
                f"`{cell.model}`" if cell.model else "",
                cell.verdict,
                cell.reason,
            )
        )
        for cell in told
    ]
    if not rows:
        return []
    headings = ("table", "row", "data", "quantity", "printed ", "ours ", "network", "verdict", "reason")
    return ["Numbers that are no plain hits:", "", *_ruled(headings), *rows, ""]


def _ruled(headings: Sequence[str]) -> list[str]:
    """Headings and the rule below them; those that end in a space belong to numbers."""
    rule = ["---:" if heading.endswith(" ") else "---" for heading in headings]
    return [_line([heading.strip() for heading in headings]), _line(rule)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
