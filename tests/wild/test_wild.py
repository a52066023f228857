"""Networks that gradscape was not built with are right, or refused where it is known why; never wrong."""

from typing import Any

import pytest
import timm
from torchvision import models

from tests.wild.networks import NETWORKS, REFUSED
from tests.wild.own_networks import OWN
from tests.wild.timm_networks import TIMM
from tests.wild.torchvision_networks import TORCHVISION
from tests.wild.transformers_networks import TRANSFORMERS
from tests.wild.verdict import judge

pytestmark = [pytest.mark.wild, pytest.mark.usefixtures("unchecked")]


def _marked() -> list[Any]:
    """Every name; of ten names one is run by CI too."""
    return [
        pytest.param(name, marks=() if number % 10 else pytest.mark.tenth, id=name.replace(" ", "-"))
        for number, name in enumerate(NETWORKS)
    ]


@pytest.mark.parametrize("name", _marked())
def test_a_strangers_network_is_right_or_refused_for_a_known_reason(name: str) -> None:
    judged = judge(NETWORKS[name])
    assert judged.word == ("refused" if name in REFUSED else "right"), judged


@pytest.mark.tenth
def test_every_module_of_torchvision_and_timm_has_a_network() -> None:
    builders = (models.get_model_builder(name) for name in models.list_models())
    modules = {builder.__module__.removeprefix("torchvision.models.") for builder in builders}
    assert {subject.family for subject in TORCHVISION} == modules
    assert {subject.family for subject in TIMM} == set(timm.list_modules())


@pytest.mark.tenth
def test_the_sweep_is_as_wide_as_promised_and_refuses_few() -> None:
    assert len(TORCHVISION) + len(TIMM) >= 120
    assert (len(TRANSFORMERS), len(OWN)) == (12, 12)
    assert sum(subject.places is not None for subject in NETWORKS.values()) - len(REFUSED) >= 90
    classifiers = [subject.name for subject in (*TORCHVISION, *TIMM) if subject.classifier]
    assert len(REFUSED.keys() & set(classifiers)) <= 0.05 * len(classifiers)
    assert len([subject for subject in TRANSFORMERS if subject.name in REFUSED]) <= 2
    assert len([subject for subject in OWN if subject.name in REFUSED]) <= 3
    assert NETWORKS.keys() >= REFUSED.keys()
