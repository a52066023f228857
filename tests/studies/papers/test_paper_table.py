import re
from pathlib import Path

import pytest

from gradscape.models.printed import CELLS
from gradscape.studies.papers.paper_table import TABLES, WITHOUT_NUMBERS, find_table
from gradscape.studies.papers.published import PAPERS
from gradscape.studies.papers.published_cells import list_tables, write_published_cells

# The numbers in the papers' tables, counted in their texts: paper, tables, how many in each.
_COUNTED = [
    ("upanets", "2 4 5 6 7 8", [40, 57, 57, 5, 16, 16]),
    ("spanet", "I II III IV V VI", [18, 20, 40, 18, 10, 48]),
    ("ulsam", "1 6 7 8 9 10 11 12", [24, 56, 48, 16, 40, 64, 64, 64]),
    ("residual_attention", "1 2 3 4 5 30 31", [4, 8, 3, 32, 6, 6, 6]),
    ("residual_attention", "6 10 14 18 22 26", [4] * 6),
    ("residual_attention", "7 11 15 19 23 27", [2] * 6),
    ("ba2m", "I II III IV V VI VII VIII", [42, 42, 6, 8, 99, 24, 4, 20]),
    ("ba2m", "IX X XI XII XIII XIV XV XVI", [14, 28, 88, 132, 32, 36, 36, 36]),
]


def test_every_number_of_every_table_is_listed() -> None:
    counted = {
        f"{paper}:{table}": count
        for paper, tables, counts in _COUNTED
        for table, count in zip(tables.split(), counts, strict=True)
    }
    assert {name: table.numbers for name, table in TABLES.items()} == counted
    assert {name: len(table.cells) for name, table in TABLES.items()} == counted
    assert sum(counted.values()) == sum(cell.paper in PAPERS.values() for cell in CELLS) == 1469


def test_tables_are_numbered_without_a_gap() -> None:
    def number(name: str) -> str:
        return name.partition(":")[2]

    for key, count in {"upanets": 8, "ulsam": 12}.items():
        names = [name for name in (*TABLES, *WITHOUT_NUMBERS) if name.startswith(f"{key}:")]
        assert sorted(int(number(name)) for name in names) == list(range(1, count + 1))
    for key, last in {"spanet": "VI", "ba2m": "XVI"}.items():
        names = [find_table(f"{key}:{place}").name for place in range(1, 7 if last == "VI" else 17)]
        assert names == [name for name in TABLES if name.startswith(f"{key}:")]
        assert names[-1] == f"{key}:{last}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("spanet:VII", r"unknown `table` 'spanet:VII'; did you mean spanet:VI"),
        ("upanets:3", r"upanets:3 has nothing to compare: its numbers are missing in the text at hand"),
        ("spanet", r"unknown `table` 'spanet'"),
    ],
)
def test_a_table_that_is_not_there_is_refused(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        find_table(name)


def test_the_documented_list_is_the_one_that_is_written_now(tmp_path: Path) -> None:
    documented = Path(__file__).parents[3] / "docs" / "published_cells.md"
    write_published_cells(tmp_path / "published_cells.md")
    text = (tmp_path / "published_cells.md").read_text()
    assert text == documented.read_text()
    (total,) = re.findall(r"^\| \*\*all\*\* \|.*$", text, flags=re.MULTILINE)
    assert total.startswith("| **all** | **1469** |")
    assert total.endswith("| **0** |")


def test_the_list_has_a_line_for_every_table() -> None:
    heading, *lines = list_tables()
    assert heading.split() == ["table", "numbers", "hits", "shows"]
    assert [line.split()[0] for line in lines] == list(TABLES)
    assert max(map(len, lines)) <= 104
    assert all(table.heading.startswith(tuple(PAPERS.values())) for table in TABLES.values())
