"""Texts, JSON and tables by anyone: read, or refused in one line that names the file."""

from pathlib import Path

import pytest

from gradscape import _text_files
from gradscape._text_files import begins_with, parse_json, read_json, read_table, read_text


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("Süßwasser\nMeer", encoding="utf-8-sig")
    assert read_text(path) == "Süßwasser\nMeer"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("Süß".encode("latin-1"), r"byte 1 is 0xfc, which is no text"),
        ("Süß".encode("utf-16"), r"byte 0 is 0xff"),
        (b"a\0b", r"bytes of value 0"),
        (b"a" * 101, r"more than 0 MiB"),
    ],
)
def test_what_is_no_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.setattr(_text_files, "_MOST", 100)
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.txt must be a file of labels.*{reason}"):
        read_text(tmp_path / "a.txt", "file of labels")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested more than 100 deep"),
        ("[" * 150 + "]" * 150, "nested more than 100 deep"),
        ('{"seed": 1, "seed": 2}', "an entry comes twice"),
        ("1" * 5000, "integer string"),
        ('{"a": ', "Expecting value"),
        ("", "Expecting value"),
    ],
    ids=range(6),
)
def test_json_that_would_hurt_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_halves_of_characters_become_what_a_file_can_hold() -> None:
    assert parse_json(r'{"a\udcff": ["\ud83d\ude00", "\\ud800", "x\ud800"]}') == {
        "a\ufffd": ["😀", r"\ud800", "x\ufffd"]
    }


def test_json_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "span.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match=r"span\.json must be a memory, a JSON object, but is a list"):
        read_json(tmp_path / "span.json", "memory")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lacks a line of names"),
        ("a,a\n1,2\n", "two columns of one name"),
        ("a,b\n1,2\n\n1\n", "row 2 has 1 cells in place of 2"),
        (f"a,b\n{'9' * 200_000},1\n", "is no csv: field larger"),
        ("a,c\n1,2\n", "lacks the column b"),
    ],
    ids=range(5),
)
def test_tables_that_are_none_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.csv must be a table.*{reason}"):
        read_table(tmp_path / "a.csv", needed=("b",) if "c" in text else ())


def test_a_table_keeps_its_cells_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,"b,c"\n1,"x\ny"\n\n,\n')
    assert read_table(tmp_path / "a.csv") == (("a", "b,c"), [["1", "x\ny"], ["", ""]])


def test_a_files_beginning_is_told_whatever_follows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"epoch,\xff\0")
    assert begins_with(tmp_path / "a.csv", "epoch,")
    assert not begins_with(tmp_path / "a.csv", "epochs")
