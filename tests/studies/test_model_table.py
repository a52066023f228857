from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gradscape.models import ModelDescription, describe_models, list_models
from gradscape.studies.model_table import (
    HEADINGS,
    describe_model,
    list_models_briefly,
    tabulate_models,
    write_model_table,
)

Rename = Callable[[Iterable[str]], list[ModelDescription]]


def test_rows_spell_sizes_and_verdicts() -> None:
    (row,) = tabulate_models(describe_models("mobilenet_v2+spa_a"))
    cells = dict(zip((heading.strip() for heading in HEADINGS), row, strict=True))
    assert (cells["parameters"], cells["classes"], cells["pixels"]) == ("3,562,227", "1000", "224")
    assert cells["printed: verdict"] == "3.562M: hit; 0.325G operations: hit"


def test_measured_accuracy_is_told_over_millions_of_parameters() -> None:
    (row,) = tabulate_models(describe_models("upanet16"))
    assert row[HEADINGS.index("accuracy/M ")] == "65.93"


@pytest.mark.slow
def test_page_has_a_line_for_every_model_and_every_reason(tmp_path: Path) -> None:
    described = describe_models("upanet64*")
    write_model_table(described, tmp_path / "models.md")
    lines = (tmp_path / "models.md").read_text().splitlines()
    assert [line.split(" | ")[0] for line in lines if line.startswith("| upanet64")] == [
        f"| {model.name}" for model in described
    ]
    reasons = [row.reason for model in described for row in model.printed if row.reason]
    assert reasons
    assert all(any(line.endswith(f"| {reason} |") for line in lines) for reason in reasons)


@pytest.mark.slow
def test_the_documented_table_is_the_one_that_is_written_now(tmp_path: Path) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    described = describe_models("upanet16*")
    write_model_table(described, tmp_path / "models.md")
    for line in (tmp_path / "models.md").read_text().splitlines():
        assert line in documented


@pytest.mark.slow
def test_a_list_has_a_line_of_a_terminal_for_each_model() -> None:
    heading, *lines = list_models_briefly(describe_models("upanet16*"))
    assert heading.split() == ["model", "parameters", "MACs", "printed", "paper"]
    assert lines[0] == "upanet16                         1.51 M    167 M  3 of 8   UPANets"
    assert [line.split()[0] for line in lines] == [model.name for model in describe_models("upanet16*")]
    assert max(map(len, lines)) <= 80


def names_in(lines: Sequence[str]) -> list[str]:
    """Names of models in a list, those that share lines behind or below their backbone too."""
    names, backbone = [], ""
    for line in lines[1:]:
        first, *others = line.split()
        if line[0] != " ":
            backbone = first
            if others[0][0] not in "+@":
                names.append(first)
                continue
        names += [backbone + word for word in (first, *others) if word[0] in "+@"]
    return names


@pytest.fixture(scope="module")
def rename() -> Rename:
    """Descriptions under other names, all of one model, since counting takes its time."""
    (model,) = describe_models("mobilenet_v2+spa_a")
    return lambda names: [replace(model, name=name) for name in names]


def test_models_with_an_attention_fit_ten_lines_of_a_terminal(rename: Rename) -> None:
    many = [f"cifar_mobilenet_v{number}+spa_{kind}" for number in range(9) for kind in "abc"]
    for names in (list_models("spa*"), many):
        lines = list_models_briefly(rename(names))
        assert len(lines) <= 10
        assert max(map(len, lines)) <= 80
        assert names_in(lines) == names


def test_many_models_share_lines_and_every_name_can_be_read_with_its_size(rename: Rename) -> None:
    names = list_models("resnet50*") + list_models("*+ulsam*")
    lines = list_models_briefly(rename(names))
    assert len(lines) < len(names)
    assert max(map(len, lines)) <= 80
    assert sorted(names_in(lines)) == sorted(names)
    assert lines[1].split()[:3] == ["resnet50", "3.56", "M"]
    assert lines[2].startswith(f"{'':<29}+aa 3.56 M; +ba2m 3.56 M; ")


def test_a_long_name_leaves_no_room_for_papers_but_for_numbers(rename: Rename) -> None:
    _, line = list_models_briefly(rename(["mobilenet_v1@width=0.75+ulsam@after=8:9,replace=11"]))
    assert line == "mobilenet_v1@width=0.75+ulsam@after=8:9,replace=11     3.56 M    304 M  2 of 2"


def test_everything_about_one_model_is_told_with_reasons() -> None:
    (model,) = describe_models("upanet16")
    name, *facts = describe_model(model)
    assert name == "upanet16"
    told = " ".join(" ".join(facts).split())
    assert "parameters 1,512,431" in told
    assert "on digits 99.72 % after 5 epochs" in told
    assert "option @attention=linear (or conv, none) option @width=2" in told
    assert "printed 1.48M: miss (table 2 of UPANets, 10 classes) no version of the network has this size" in told
    assert max(map(len, facts)) <= 100
