"""Hessians in a report: a table with intervals, and the command that makes it again."""

from dataclasses import replace
from pathlib import Path

from gradscape.studies.report.collect import collect
from gradscape.studies.report.curvatures import CURVATURES
from gradscape.studies.report.networks import sort_by_network
from tests.landscape.hessian.curvatures import made_up


def test_a_table_has_every_number_with_its_interval_and_the_command_makes_it_again(tmp_path: Path) -> None:
    made_up().save(tmp_path / "out" / "curvature.npz")
    networks = sort_by_network(collect([tmp_path]))
    shown = CURVATURES.show(networks, [])
    assert shown is not None
    assert isinstance(shown.given, list)
    (table,) = shown.given
    assert table.caption.startswith("Hessian on digits: mean loss over 120 of 500 images")
    assert [row.heading for row in table.rows] == [f"made up: {name}" for name in ("λ1", "λ2", "λ64 (lowest)", "trace")]
    assert " to " in table.rows[0].cells[3].text
    assert CURVATURES.commands(networks) == [
        "gradscape curvature CKPT --data digits --split test --limit 120 --top 2 --bottom 1 --trace --density "
        f"-o {tmp_path / 'out'}"
    ]
    assert CURVATURES.show([], []) is None


def test_hessians_of_other_losses_stand_in_tables_of_their_own_with_their_commands(tmp_path: Path) -> None:
    for loss in ("cross_entropy", "focal"):
        one = made_up()
        told = {**one.meta, "loss": loss, "functions": {"loss": f"gradscape.{loss}", "metric": "none"}}
        replace(one, meta=told).save(tmp_path / loss / "curvature.npz")
    networks = sort_by_network(collect([tmp_path]))
    shown = CURVATURES.show(networks, [])
    assert shown is not None
    assert isinstance(shown.given, list)
    assert len(shown.given) == 2
    assert sorted("--loss focal" in command for command in CURVATURES.commands(networks)) == [False, True]
    assert not any("--metric" in command for command in CURVATURES.commands(networks))
