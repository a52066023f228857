"""Tables of pages that campaigns fill: what stands between two comments is made, all else is written by hand."""

from pathlib import Path

from gradscape._files import replacing

__all__ = ["ROBUSTNESS", "put_table"]

ROBUSTNESS = Path(__file__).parents[1] / "docs" / "robustness.md"
_END = "<!-- end of the table -->"


def put_table(page: Path, maker: str, table: str) -> None:
    """Put a table into its place.

    Args:
        page: A page that holds `<!-- table: MAKER -->` and, some lines later, the comment of the table's end.
        maker: The command that fills it.
        table: Its lines.

    Raises:
        ValueError: The page has no such place.
    """
    begin = f"<!-- table: {maker} -->\n"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(_END)
    if not (found and ended):
        raise ValueError(f"{page} must hold {begin.strip()} and {_END}")
    with replacing(page) as partial:
        partial.write_text(f"{before}{begin}{table.rstrip()}\n{_END}{after}", encoding="utf-8")
