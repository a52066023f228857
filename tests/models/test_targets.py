"""What a network is trained with follows from its name."""

import pytest

from gradscape.models import TargetKind, targets_of
from gradscape.models.registry import KINDS

OF_KIND: dict[str, TargetKind] = {
    "deeplabv3": "pixels",
    "faster_rcnn": "boxes",
    "fcos": "boxes",
    "mask_rcnn": "masks",
    "retinanet": "boxes",
}


def test_every_kind_of_detector_and_segmenter_says_what_it_is_trained_with() -> None:
    assert {kind: targets_of(f"{kind}:resnet50+spa_a@scales=4:2:1") for kind in KINDS} == OF_KIND


@pytest.mark.parametrize(
    "name",
    [
        "resnet20",
        "upanet16@groups=2",
        "resnet50+spa_a@scales=4:2:1",
        "timm:resnet50",
        "torchvision:resnet18",
        "own.nets:fcos",
    ],
)
def test_everything_else_is_a_classifier(name: str) -> None:
    assert targets_of(name) == "classes"
