import re
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from gradscape.models import count_macs, count_parameters
from gradscape.models.cards import create_weightless
from gradscape.models.options import list_options
from gradscape.models.registry import ATTENTIONS, MODELS


def _build(
    depth: int,
    *,
    num_classes: int = 10,
    kind: Literal["thin", "wide"] = "thin",
    bias: bool = True,
    bound: int = 3,
    stages: tuple[int, ...] = (1, 2),
    scale: float | None = None,
) -> None:
    """Stands for any builder."""


def test_options_are_listed_with_their_defaults_and_the_few_others_that_they_can_be() -> None:
    assert list_options(partial(_build, 4, bound=5)) == [
        "kind=thin (or wide)",
        "bias=true (or false)",
        "stages=1:2",
        "scale=none",
    ]


def test_knobs_of_the_texts_are_listed() -> None:
    listed = list_options(MODELS["attention56"].build)
    assert {"p=1", "t=2", "r=1", "tail=3", "stem=pooled (or strided)", "dropout=0.0"} < set(listed)
    assert "activation=mixed (or spatial, spatial_map, channel)" in listed
    assert "stride=second (or first)" in list_options(MODELS["resnet50"].build)
    assert "layout=code (or equations)" in list_options(ATTENTIONS["ulsam"].attach)
    assert "wider=none" in list_options(ATTENTIONS["spa_c"].attach)


_PAGE = Path(__file__).parents[2] / "docs" / "knobs.md"
_ROW = re.compile(r"\| `(\S+)` \| (\d+) \| (\d+) \| ([\d,]+) \| ([\d,.]+) M \|")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes", "side", "parameters", "millions"), _ROW.findall(_PAGE.read_text()))
def test_networks_of_the_page_about_options_have_the_sizes_that_it_says(
    name: str, classes: str, side: str, parameters: str, millions: str
) -> None:
    network = create_weightless(name, num_classes=int(classes), image_size=int(side))
    assert f"{count_parameters(network):,}" == parameters
    assert f"{count_macs(network, int(side)) / 1e6:,.1f}" == millions
