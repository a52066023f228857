import re
from dataclasses import replace
from pathlib import Path

import pytest

from gradscape.studies.report import write_report
from gradscape.studies.report.collect import collect
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.provenance import rebuild_commands
from gradscape.studies.topology import find_topologies, save_topologies
from tests.landscape.noisy_surfaces import NOISES, drawn_surface
from tests.landscape.topology.surfaces import himmelblau, surface_of_function
from tests.studies.report.test_commands import parsed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    surfaces = {
        "valleys": surface_of_function(himmelblau, -5.5, 5.5, 31),
        "bowl": drawn_surface("bowl", NOISES["loud"], blocks=16, seed=4),
    }
    for number, (name, surface) in enumerate(surfaces.items()):
        topology = surface.topology(confidence=0.9)
        about = {"model": name, "weights": f"012{number}", "surface_file": f"out/{name}/surface.h5"}
        (tmp_path / name).mkdir()
        replace(topology, meta={**topology.meta, **about}).save(tmp_path / name / "topology.npz")
    return tmp_path


def test_topologies_are_counted_and_drawn_on_one_scale(folder: Path) -> None:
    text = write_report([folder], folder / "report.html").read_text()
    shown = text.partition('<section id="landscapes"')[2].partition("</section>")[0]
    rows = re.findall(r'<th scope="row">(\w+).*?</tr>', shown, re.DOTALL)
    assert sorted(rows) == ["bowl", "valleys"]
    assert '<td class="number" data-column="minima"><span>4</span></td>' in shown
    assert shown.count('<img src="data:image/png;base64,') == 1
    assert "minima numbered by persistence" in shown


def test_commands_make_them_again(folder: Path) -> None:
    lines = [parsed(line) for line in rebuild_commands(sort_by_network(collect([folder])))]
    for name in ("bowl", "valleys"):
        assert [Path(f"out/{name}/surface.h5")] in [line["files"] for line in lines]
    assert {line["confidence"] for line in lines} == {0.9}
    assert {line["output"] for line in lines} == {folder / "bowl", folder / "valleys"}


def test_the_seed_of_the_bootstrap_is_asked_for_again(tmp_path: Path) -> None:
    file = tmp_path / "surface.h5"
    surface_of_function(himmelblau, -5.5, 5.5, 11).save(file)
    save_topologies(find_topologies([file], seed=3), tmp_path / "out")
    (line,) = [line for line in rebuild_commands(sort_by_network(collect([tmp_path / "out"]))) if " topology " in line]
    assert parsed(line)["seed"] == 3
