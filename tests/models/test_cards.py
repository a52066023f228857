import re

import pytest
import torch

from gradscape.models import count_parameters, describe_models
from gradscape.models.cards import create_weightless
from gradscape.models.own_scores import OWN_SCORES, OwnScore
from gradscape.models.printed import COMBINATIONS, DETECTORS, PRINTED
from gradscape.models.registry import MODELS


def test_every_table_of_upanets_with_sizes_is_there() -> None:
    tables = [int(row.table) for row in PRINTED if row.paper == "UPANets" and row.model.startswith("upanet")]
    assert {table: tables.count(table) for table in set(tables)} == {2: 10, 4: 3, 5: 3, 6: 1, 7: 4, 8: 4}
    others = [row for row in PRINTED if row.paper == "UPANets" and row.model.startswith("cifar_")]
    assert len(others) == 2 * 16


@pytest.mark.parametrize("paper", ["SPANet", "ULSAM", "Residual attention (report)", "BA2M"])
def test_every_paper_has_rows_and_each_verdict_but_a_hit_its_reason(paper: str) -> None:
    rows = [row for row in PRINTED if row.paper == paper]
    assert len(rows) >= 4
    assert all(row.reason for row in rows if row.verdict != "hit")
    assert all(re.fullmatch(r"[IVX]+|\d+", row.table) for row in rows)


def test_description_measures_the_model_and_gathers_its_printed_rows() -> None:
    (described,) = describe_models("upanet64")
    assert (described.parameters, described.macs) == (24_017_183, 2_665_549_184)
    assert [row.printed for row in described.printed] == ["23.60M", "23.84M", "24.40M", "4.09", "3.37", "2.77"]
    assert described.paper == "UPANets, arXiv:2103.08640"
    assert "@cpa_shortcut=true (or false)" in described.options


def test_description_of_a_network_with_attention_names_both_papers_and_its_own_rows() -> None:
    (described,) = describe_models("mobilenet_v2+spa_a")
    assert (described.num_classes, described.image_size, described.parameters) == (1000, 224, 3_562_227)
    assert described.paper == "MobileNetV2, arXiv:1801.04381; SPANet, doi:10.1109/TMM.2021.3068576"
    assert [(row.printed, row.verdict) for row in described.printed] == [("3.562M", "hit"), ("0.325G", "hit")]
    assert described.options == ("@width=1.0", "+spa_a@scales=none", "+spa_a@reduction=none", "+spa_a@stages=none")


def test_description_of_torchvisions_models_is_for_imagenet() -> None:
    # RegNet computes its widths with tensors, which must have values.
    (described,) = describe_models("regnet_y_400mf")
    assert (described.num_classes, described.image_size, described.parameters) == (1000, 224, 4_344_144)
    assert f"{described.macs / 1e9:.3f}" == "0.402"
    assert described.paper == "torchvision"


def test_description_of_a_detector_names_its_paper_its_backbones_and_the_printed_sizes() -> None:
    (described,) = describe_models("retinanet:resnet50+se")
    assert (described.num_classes, described.image_size, described.parameters) == (80, 800, 40_499_684)
    assert described.paper.split("; ")[0] == "RetinaNet, arXiv:1708.02002"
    assert [name.split(",")[0] for name in described.paper.split("; ")[1:]] == [
        "ResNet",
        "variants: arXiv:1712.09913",
        "SENet",
    ]
    assert [(row.printed, row.verdict) for row in described.printed] == [("40.25M", "hit"), ("239.43G", "hit")]
    assert "+se@reduction=none" in described.options


@pytest.mark.slow
def test_description_leaves_the_random_state_alone_and_covers_every_own_model() -> None:
    before = torch.get_rng_state()
    assert [described.name for described in describe_models()] == sorted(
        {*MODELS, *COMBINATIONS, *DETECTORS, *(score.model for score in OWN_SCORES)}
    )
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("score", OWN_SCORES, ids=lambda score: score.model)
def test_measured_scores_belong_to_networks_of_that_size(score: OwnScore) -> None:
    network = create_weightless(score.model, num_classes=10, image_size=32)
    assert count_parameters(network) == score.parameters
    assert score.efficiency == pytest.approx(100e6 * score.accuracy / score.parameters)
