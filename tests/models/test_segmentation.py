"""Segmenters against torchvision's own."""

import pytest
import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50, deeplabv3_resnet101

from gradscape.models import count_parameters, create_model
from gradscape.models.segmentation import Segmenter


def _segmenter(name: str, *, classes: int, size: int) -> Segmenter:
    segmenter = create_model(name, num_classes=classes, image_size=size)
    assert isinstance(segmenter, Segmenter)
    return segmenter.eval()


@pytest.mark.parametrize("size", [64, 72])
def test_deeplab_has_torchvisions_logits_for_its_weights(size: int) -> None:
    own = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5, aux_loss=False).eval()
    for module in own.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    segmenter = _segmenter("deeplabv3:resnet50", classes=5, size=64)
    segmenter.backbone.load_state_dict(own.backbone.state_dict())
    segmenter.head.load_state_dict(own.classifier.state_dict())
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        logits = segmenter(images)
        torch.testing.assert_close(logits, own(images)["out"])
    assert logits.shape == (2, 5, size, size)


def test_deeplab_has_as_many_parameters_as_torchvisions() -> None:
    for depth, build in ((50, deeplabv3_resnet50), (101, deeplabv3_resnet101)):
        own = build(weights=None, weights_backbone=None, num_classes=21, aux_loss=False)
        assert count_parameters(_segmenter(f"deeplabv3:resnet{depth}", classes=21, size=64)) == count_parameters(own)


@pytest.mark.parametrize(
    ("backbone", "side"),
    [
        ("resnet18", 8),
        ("resnet50@stride=first", 8),
        ("resnext50_32x4d+se", 8),
        ("mobilenet_v2", 2),
        ("shufflenet_v2_x1_0", 2),
    ],
)
def test_resnets_are_dilated_and_other_backbones_keep_their_strides(backbone: str, side: int) -> None:
    segmenter = _segmenter(f"deeplabv3:{backbone}", classes=3, size=64)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert segmenter.backbone.feature_maps(images)[-1].shape[-2:] == (side, side)
        assert segmenter(images).shape == (2, 3, 64, 64)


def test_dilation_changes_no_weight_and_only_its_reach() -> None:
    torch.manual_seed(0)
    dilated = _segmenter("deeplabv3:resnet18", classes=3, size=64).backbone
    torch.manual_seed(0)
    strided = create_model("resnet18", num_classes=1, image_size=64)
    own, other = dilated.state_dict(), strided.state_dict()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert other.keys() - own.keys() == {"fc.weight", "fc.bias"}
    rates = [
        [
            module.dilation[0]
            for module in stage.modules()
            if isinstance(module, nn.Conv2d) and module.kernel_size[0] == 3
        ]
        for stage in dilated.stages
    ]
    assert rates == [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 2, 2], [2, 2, 4, 4]]


def test_every_parameter_of_a_segmenter_has_a_gradient() -> None:
    for backbone in ("resnet18", "mobilenet_v2", "preact_resnet200", "attention56_imagenet"):
        segmenter = _segmenter(f"deeplabv3:{backbone}", classes=3, size=64)
        segmenter(torch.randn(1, 3, 64, 64)).sum().backward()
        assert [name for name, one in segmenter.named_parameters() if one.grad is None] == []
