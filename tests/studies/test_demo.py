import re
from pathlib import Path

import pytest

from gradscape.landscape import Surface
from gradscape.studies import demo


def test_the_demo_writes_a_page_whose_every_link_and_picture_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "MODELS", ("resnet20", "resnet20_noshort"))
    monkeypatch.setattr(demo, "_STEPS", 5)
    monkeypatch.setattr(demo, "_LINE_STEPS", 5)
    monkeypatch.setattr(demo, "_IMAGES", 32)
    jobs = set()
    page = demo.run_demo(tmp_path, seed=0, device="cpu", report=lambda job, _: jobs.add(job))
    text = page.read_text()
    places = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(places) > 20
    assert not [place for place in places if not (tmp_path / place).is_file()]
    assert jobs == {"resnet20", "resnet20_noshort", "line"}
    first, second = (Surface.load(tmp_path / name / "surface.h5") for name in demo.MODELS)
    assert first.alphas.tolist() == second.alphas.tolist()
    assert first.meta["blocks"] == second.meta["blocks"]
    assert f"Span ±{first.meta['span']:g}" in text
    assert "R = 1 " in text
