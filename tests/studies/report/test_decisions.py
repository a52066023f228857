from dataclasses import replace
from pathlib import Path

import pytest

from gradscape.studies.report import write_report
from gradscape.studies.report.collect import collect
from gradscape.studies.report.networks import sort_by_network
from gradscape.studies.report.provenance import rebuild_commands
from tests.figures.pages_of_all_kinds import decisions
from tests.studies.report.test_commands import parsed


@pytest.mark.parametrize("norm", ["", "sign"])
def test_maps_of_one_plane_stand_on_one_page_and_are_made_again(tmp_path: Path, norm: str) -> None:
    files = [f"pictures/{name}.png" for name in "xyz"][: 1 if norm else 3]
    for number, name in enumerate(("first", "second")):
        found = decisions(norm=norm, shift=number)
        about = {"model": name, "title": name, "weights": f"012{number}", "image_digest": "ab", "image_files": files}
        (tmp_path / name).mkdir()
        checkpoint = {"checkpoint": f"{name}.safetensors"}
        replace(found, meta={**found.meta, **about, **checkpoint}).save(tmp_path / name / "decision.npz")
    text = write_report([tmp_path], tmp_path / "report.html").read_text()
    shown = text.partition('<section id="decisions"')[2].partition("</section>")[0]
    assert shown.count('<img src="data:image/png;base64,') == 1
    assert "Which classes first, second see" in shown
    (line,) = [parsed(line) for line in rebuild_commands(sort_by_network(collect([tmp_path])))]
    assert line["paths"] == [Path("first.safetensors"), Path("second.safetensors"), *map(Path, files[1:])]
    assert line["images"] == [Path(files[0])]
    assert line["steps"] == 7
    assert (line["norm"], line["class_index"], line["output"]) == (norm or None, "1" if norm else None, tmp_path)


def test_networks_whose_own_classes_differ_are_asked_for_without_one(tmp_path: Path) -> None:
    for number, name in enumerate(("first", "second")):
        found = decisions(norm="l2")
        about = {"model": name, "title": name, "weights": f"012{number}", "image_digest": "ab"}
        (tmp_path / name).mkdir()
        replace(found, label=number, meta={**found.meta, **about}).save(tmp_path / name / "decision.npz")
    (line,) = rebuild_commands(sort_by_network(collect([tmp_path])))
    assert "--class" not in line
