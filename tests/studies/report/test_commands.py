from pathlib import Path
from typing import Any

import pytest

from gradscape._provenance import Provenance
from gradscape.studies.report.commands import data_options
from gradscape.studies.report.found import Found


@pytest.mark.parametrize(
    ("extent", "limit"),
    [
        ({"images": 128, "population": 4000}, ["--limit", 128]),
        ({"images": 128, "images_asked": 512, "population": 4000}, ["--limit", 512]),
        ({"images": 128, "images_asked": 4000, "population": 4000}, []),
    ],
)
def test_the_command_of_a_stopped_run_asks_for_what_the_run_was_to_see(extent: dict[str, Any], limit: list) -> None:
    meta = Provenance.of({"data": "digits", "split": "train", **extent})
    assert data_options(Found(Path("surface.h5"), None, meta)) == ["--data", "digits", *limit]
