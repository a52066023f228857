from pathlib import Path

from tests.cli.conftest import Command


def test_a_table_is_printed_or_written(gradscape: Command, tmp_path: Path) -> None:
    printed = gradscape("table", "spanet:V")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out.startswith("SPANet, table V: scales of the pyramid, ImageNet\n")
    assert gradscape("table", "spanet:V", "--format", "csv").out.startswith("paper,table,row")
    written = gradscape("table", "spanet:V", "-o", tmp_path / "v.md")
    assert written.out == f"wrote {tmp_path / 'v.md'}\n"
    assert gradscape("table", "spanet:V", "-q").out == ""


def test_tables_are_listed_and_the_list_of_numbers_written(gradscape: Command, tmp_path: Path) -> None:
    assert "ba2m:XIII" in gradscape("table", "--list").out
    assert gradscape("table", "ulsam:1", "--list").code == 2
    assert gradscape("table", "--list", "-o", tmp_path / "cells.md").out == f"wrote {tmp_path / 'cells.md'}\n"
    assert (tmp_path / "cells.md").read_text().startswith("# Published numbers\n")


def test_mistakes_are_one_line(gradscape: Command, tmp_path: Path) -> None:
    for arguments, told in {
        ("spanet:VII",): "gradscape: unknown `table` 'spanet:VII'; did you mean spanet:VI",
        ("spanet:V", "none"): "gradscape: there is no run folder or checkpoint none",
        ("spanet:V", "--format", "doc"): "gradscape: unknown `--format` 'doc'; known: md, csv, tex",
    }.items():
        done = gradscape("table", *arguments)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(told)
        assert done.err.count("\n") == 1
