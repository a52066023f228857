"""How results show themselves in a notebook: a small table."""

import html
from collections.abc import Iterable, Sequence

__all__ = ["html_table"]


def html_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as HTML; numbers are shortened, and what stands in the cells stays text.

    Args:
        title: Above the table.
        headings: One for each column.
        rows: Cells of each row.
    """
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    return f"<table><caption>{html.escape(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else html.escape(str(value))
