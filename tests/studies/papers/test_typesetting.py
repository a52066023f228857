import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gradscape.studies.papers.paper_table import TABLES, find_table
from gradscape.studies.papers.table_lines import gather_lines
from gradscape.studies.papers.typesetting import set_latex, set_markdown, set_table, set_text, write_table
from tests.studies.papers.test_table_lines import log_of


def test_numbers_stand_beside_ours_on_a_terminal() -> None:
    lines = set_table("spanet:3").splitlines()
    assert lines[0] == "SPANet, table III: accuracy and sizes on ImageNet, single crop"
    assert [line.split() for line in lines[2:5]] == [
        ["accuracy", "top-5", "FLOPs", "params"],
        ["(%)", "(%)", "(G)", "(M)"],
        ["network", "printed", "here", "printed", "here"],
    ]
    assert lines[9].split() == ["SPA-ResNet50", "77.4880", "93.6098", "4.262", "4.2619", "28.074", "28.0739"]
    assert "here: counted on our network, with one digit more than printed" in lines


def test_what_is_not_the_printed_number_is_marked_and_told() -> None:
    text = set_table("ba2m:I")
    (line,) = [line for line in text.splitlines() if line.startswith("ResNet-101 + BA²M")]
    assert line.split()[3:] == ["42.32", "43.474", "≠", "2.55", "2.479", "≠", "17.88"]
    assert "params of ResNet-101 + BA²M: the printed costs of one module" in " ".join(text.split())


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_set_in_every_way(name: str) -> None:
    table = find_table(name)
    lines = gather_lines(table)
    assert max(map(len, set_text(table, lines).splitlines())) <= 80
    cells = list(csv.DictReader(set_table(name, form="csv").splitlines()))
    assert sorted(cell["printed"] for cell in cells) == sorted(cell.printed for cell in table.cells)
    latex = set_latex(table, lines)
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", latex)
    rows = [line for line in latex.splitlines() if line.endswith(r" \\")]
    assert {line.count(" & ") for line in rows[1:]} == {len(columns) - 1}
    assert latex.isascii()
    assert "`" not in latex
    unescaped = re.sub(r"\\[{}$]", "", latex)
    assert unescaped.count("{") == unescaped.count("}")
    assert unescaped.count("$") % 2 == 0
    pipes = [
        re.sub(r"\\\|", "", line).count("|") for line in set_markdown(table, lines).splitlines() if line[:1] == "|"
    ]
    assert set(pipes) == {len(columns) + 1}


def test_latex_has_booktabs_rules_and_escapes_what_it_must() -> None:
    latex = set_table("upanets:4", form="tex")
    assert all(rf"\{rule}" in latex for rule in ("toprule", "midrule", "bottomrule", "cmidrule(lr){3-4}"))
    assert r"DenseNets121\_16GR" in latex
    assert r"\multicolumn{1}{c}{accuracy (\%)}" in latex
    assert r"\texttt{@layout=table}, made for this number, has it" in set_table("ba2m:I", form="tex")
    assert r"\caption{UPANets, table 4: UPANets and others on CIFAR-10}" in latex


def test_measured_numbers_stand_beside_with_their_interval_and_training() -> None:
    table = find_table("upanets:4")
    lines = gather_lines(table, [log_of("upanet16", 0.9)])
    text = set_text(table, lines)
    (line,) = [line for line in text.splitlines() if line.startswith("UPANets16 ")]
    assert line.split()[1:3] == ["95.32", "90.00"]
    told = (
        "measured, UPANets16: accuracy 90.00 (86.67–92.57), efficiency 60.00 (57.78–61.71); one training (upanet16); "
        "95 % intervals, Wilson's over images"
    )
    assert told in " ".join(text.split())
    assert "| 95.32 | 90.00 (86.67–92.57) |" in set_markdown(table, lines)
    (cell,) = [
        cell
        for cell in csv.DictReader(set_table("upanets:4", form="csv").splitlines())
        if (cell["row"], cell["quantity"]) == ("UPANets16", "accuracy")
    ]
    assert (cell["measured"], cell["model"]) == ("", "upanet16")


def test_numbers_measured_on_other_data_are_marked() -> None:
    table = find_table("upanets:4")
    text = set_text(table, gather_lines(table, [log_of("upanet16", 0.9, data="digits")]))
    assert "  90.00 *  " in text
    assert "* on digits and not the paper's data" in " ".join(text.split())


def test_names_from_files_have_no_meaning_in_latex_or_markdown() -> None:
    table = find_table("upanets:4")
    evil = "$(</td> [a](javascript:b) `\\input{/etc/passwd}`\n\n&copy; \x1b[1m ^^5cinput |"
    lines = gather_lines(table, [replace(log_of("upanet16", 0.9, data=evil), title=evil)])
    latex, markdown = set_latex(table, lines), set_markdown(table, lines)
    assert r"\input" not in latex.replace(r"\textbackslash{}", "")
    assert "^^" not in latex
    assert latex.count(r"\$(\textless{}/td\textgreater{}") == latex.count("/etc/passwd") == 2
    assert len(latex.splitlines()) == len(set_latex(table, gather_lines(table, [log_of("upanet16", 0.9)])).splitlines())
    (note,) = [line for line in markdown.splitlines() if line.startswith("- measured, UPANets16")]
    assert note.count("$(&lt;/td>") == note.count(r"\[a\](javascript:b)") == note.count("&amp;copy;") == 2
    assert not re.search("<|\x1b", markdown)


def test_a_file_has_the_format_of_its_ending(tmp_path: Path) -> None:
    for ending, start in {"md": "**SPANet", "tex": r"\begin{table}", "csv": "paper,table,row"}.items():
        write_table(tmp_path / f"t.{ending}", "spanet:I")
        assert (tmp_path / f"t.{ending}").read_text().startswith(start)
    write_table(tmp_path / "t.txt", "spanet:I", form="csv")
    assert (tmp_path / "t.txt").read_text().startswith("paper,table,row")
    with pytest.raises(
        ValueError, match=r"`--output` must end in \.md, \.csv, \.tex, or `--format` say which, got .*x\.doc"
    ):
        write_table(tmp_path / "x.doc", "spanet:I")
    with pytest.raises(ValueError, match="unknown `--format` 'doc'; known: md, csv, tex"):
        set_table("spanet:I", form="doc")
    with pytest.raises(FileNotFoundError, match="there is no run folder or checkpoint none"):
        set_table("spanet:I", [Path("none")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.md", "t.tex", "t.txt"]
