import re

import pytest
import torch

from gradscape.models import PrintedSize, count_parameters, create_model, describe_models
from gradscape.models.cards import PRINTED
from gradscape.models.registry import MODELS


def _parameters(name: str, row: PrintedSize) -> int:
    with torch.device("meta"):
        return count_parameters(create_model(name, num_classes=row.num_classes, image_size=row.image_size))


def _has_size(name: str, row: PrintedSize) -> bool:
    decimals = len(row.millions.partition(".")[2])
    return f"{_parameters(name, row) / 1e6:.{decimals}f}" == row.millions


def _has_efficiency(name: str, row: PrintedSize) -> bool:
    """Whether some accuracy that rounds as printed, over the parameters, rounds to the printed efficiency."""
    if row.accuracy is None or row.efficiency is None:
        return True
    millions = _parameters(name, row) / 1e6
    return (row.accuracy - 0.005) / millions <= row.efficiency + 0.005 and (
        row.accuracy + 0.005
    ) / millions >= row.efficiency - 0.005


@pytest.mark.parametrize("row", PRINTED, ids=lambda row: f"{row.name}-{row.num_classes}-{row.where}")
def test_verdict_on_a_printed_row_follows_from_the_parameters(row: PrintedSize) -> None:
    base = row.name.partition("@")[0]
    versions = [base, f"{base}@cpa_shortcut=false"] if base.startswith("upanet") else [row.name]
    if row.verdict == "miss":
        assert not any(_has_size(version, row) for version in versions)
    else:
        assert _has_size(row.name, row)
        assert _has_efficiency(row.name, row) == (row.verdict == "hit")
    other = [version for version in versions if version != row.name and _has_efficiency(version, row)]
    assert ("efficiency of the network with it" in row.reason) == (row.verdict == "contradiction" and bool(other))
    assert bool(row.reason) == (row.verdict != "hit")


def test_every_table_of_upanets_with_sizes_is_there() -> None:
    rows = [row for row in PRINTED if row.where.startswith("UPANets")]
    tables = [int(re.findall(r"\d+", row.where)[0]) for row in rows]
    assert {table: tables.count(table) for table in set(tables)} == {2: 10, 4: 4, 5: 4, 6: 1, 7: 2, 8: 2}


def test_description_measures_the_model_and_gathers_its_printed_rows() -> None:
    (described,) = describe_models("upanet64")
    assert (described.parameters, described.macs) == (24_017_183, 2_665_549_184)
    assert [row.millions for row in described.printed] == ["23.60", "23.84", "24.40"]
    assert described.paper == "UPANets, arXiv:2103.08640"


def test_description_of_torchvisions_models_is_for_imagenet() -> None:
    # RegNet computes its widths with tensors, which must have values.
    (described,) = describe_models("regnet_y_400mf")
    assert (described.num_classes, described.image_size, described.parameters) == (1000, 224, 4_344_144)
    assert f"{described.macs / 1e9:.3f}" == "0.402"
    assert described.paper == "torchvision"


def test_description_leaves_the_random_state_alone_and_covers_every_own_model() -> None:
    before = torch.get_rng_state()
    assert [described.name for described in describe_models()] == sorted(MODELS)
    assert torch.equal(torch.get_rng_state(), before)
