import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from gradscape.studies.papers.catalog import FIGURES


@pytest.fixture(scope="module")
def contact_sheet() -> ModuleType:
    path = Path(__file__).parents[1] / "docs" / "contact_sheet.py"
    spec = importlib.util.spec_from_file_location("contact_sheet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sheet_has_every_figure_in_order(contact_sheet: ModuleType) -> None:
    of_boxes = {"spanet:7"}  # which digits have none of
    assert list(contact_sheet.FIGURES) == [name for name in FIGURES if name not in of_boxes]


def test_every_network_on_the_sheet_has_a_training_and_none_is_trained_in_vain(contact_sheet: ModuleType) -> None:
    assert {run for runs, _ in contact_sheet.FIGURES.values() for run in runs} == set(contact_sheet.TRAININGS)


def test_pictures_of_one_column_stand_side_by_side_at_the_scale_of_the_others(
    contact_sheet: ModuleType, tmp_path: Path
) -> None:
    pictures = []
    for name, width, color in (("a:1", 2070, "red"), ("a:2", 1005, "lime"), ("a:3", 1005, "blue")):
        pictures.append((name, tmp_path / f"{color}.png"))
        Image.new("RGB", (width, 600), color).save(pictures[-1][1])
    contact_sheet.arrange(pictures, tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as opened:
        sheet = opened.convert("RGB")
    counts = {"red": 0, "lime": 0, "blue": 0}
    for count, (red, green, blue) in sheet.getcolors(sheet.width * sheet.height) or []:  # type: ignore[misc]
        for color, share in zip(counts, (red, green, blue), strict=True):
            counts[color] += count if share > 200 and red + green + blue - share < 100 else 0
    scale = 640 / 2070
    assert counts["red"] == pytest.approx(2070 * 600 * scale**2, rel=0.03)
    assert counts["lime"] == pytest.approx(1005 * 600 * scale**2, rel=0.03)
    assert counts["blue"] == pytest.approx(1005 * 600 * scale**2, rel=0.03)
    left = next(x for x in range(sheet.width) if sheet.getpixel((x, 100))[2] > 200 > sheet.getpixel((x, 100))[0])  # type: ignore[index]
    assert left > sheet.width / 2  # blue on the right of lime, in the second column
