"""Text files: any name can be written, and there is one way to write them."""

import ast
import csv
from pathlib import Path

import pytest

import gradscape
from gradscape._files import save_rows
from gradscape._utf8 import replacing_text

ROOT = Path(gradscape.__file__).parent


def test_bytes_of_a_name_that_are_no_text_are_spelled_out_and_all_else_stays(tmp_path: Path) -> None:
    with replacing_text(tmp_path / "new" / "a.csv") as file:
        csv.writer(file).writerow(("\udcff猫.png", "=cmd()", "a\x1b[1m,\r\nb"))
    assert (tmp_path / "new" / "a.csv").read_bytes() == '\\udcff猫.png,=cmd(),"a\x1b[1m,\r\nb"\r\n'.encode()
    save_rows(tmp_path / "b.csv", ["a"], [{"a": "half \ud83d"}])
    assert (tmp_path / "b.csv").read_text() == "a\nhalf \\ud83d\n"


def test_an_exception_leaves_the_old_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def interrupted() -> None:
        with replacing_text(tmp_path / "a.txt") as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


def test_text_is_written_in_one_place() -> None:
    writers = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                mode = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
                if node.func.attr == "write_text" or (node.func.attr == "open" and mode in ("w", "a", "x")):
                    writers.add(path.name)
    assert writers == {"_files.py", "_utf8.py"}
