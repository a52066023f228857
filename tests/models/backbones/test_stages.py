"""What stem and stages put out, and that the head takes the features."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gradscape.models.backbones.cifar_resnets import CifarResNet
from gradscape.models.backbones.densenet import DenseNet100
from gradscape.models.backbones.dla import CifarDLA
from gradscape.models.backbones.efficientnet import EfficientNetB0
from gradscape.models.backbones.mobilenet_v1 import MobileNetV1
from gradscape.models.backbones.mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from gradscape.models.backbones.preact_resnets import PreactResNet, create_preact_resnet, create_preact_resnet110
from gradscape.models.backbones.regnet import CifarRegNetY400MF
from gradscape.models.backbones.resnexts import CifarResNeXt
from gradscape.models.backbones.senet import CifarSENet18
from gradscape.models.backbones.shufflenet_v2 import ShuffleNetV2
from gradscape.models.backbones.vgg import CifarVGG16
from gradscape.models.backbones.wide_resnets import create_wide_resnet

Shapes = list[tuple[int, int, int]]

# Sides of the images; channels, height and width behind the stem and behind each stage.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int], Shapes]] = {
    "preact_resnet18": (
        lambda: create_preact_resnet(18, num_classes=7),
        (16, 24),
        [(64, 16, 24), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)],
    ),
    "preact_resnet50": (
        lambda: create_preact_resnet(50, num_classes=7),
        (16, 24),
        [(64, 16, 24), (256, 16, 24), (512, 8, 12), (1024, 4, 6), (2048, 2, 3)],
    ),
    "preact_resnet110": (
        lambda: create_preact_resnet110(num_classes=7),
        (8, 12),
        [(16, 8, 12), (16, 8, 12), (32, 4, 6), (64, 2, 3)],
    ),
    "preact_resnet for large images": (
        lambda: PreactResNet((1, 1), bottleneck=True, num_classes=7, widths=(8, 12), small_images=False),
        (64, 96),
        [(64, 16, 24), (32, 16, 24), (48, 8, 12)],
    ),
    "wide_resnet16": (
        lambda: create_wide_resnet(16, 2, num_classes=7),
        (8, 12),
        [(16, 8, 12), (32, 8, 12), (64, 4, 6), (128, 2, 3)],
    ),
    "resnext29": (
        lambda: CifarResNeXt(4, 2, num_classes=7, stem_size=1),
        (8, 12),
        [(64, 8, 12), (256, 8, 12), (512, 4, 6), (1024, 2, 3)],
    ),
    "vgg16": (
        lambda: CifarVGG16(num_classes=7),
        (32, 64),
        [(64, 32, 64), (64, 32, 64), (128, 16, 32), (256, 8, 16), (512, 4, 8), (512, 2, 4)],
    ),
    "mobilenet_v1": (
        lambda: MobileNetV1(num_classes=7, width=0.5),
        (64, 96),
        [(16, 32, 48), (32, 32, 48), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)],
    ),
    "mobilenet_v2": (
        lambda: MobileNetV2(num_classes=7, width=0.5),
        (64, 96),
        [(16, 32, 48), (8, 32, 48), (16, 16, 24), (16, 8, 12), (32, 4, 6), (48, 4, 6), (80, 2, 3), (160, 2, 3)],
    ),
    "mobilenet_v2 for small images": (
        lambda: CifarMobileNetV2(num_classes=7),
        (16, 24),
        [(32, 16, 24), (16, 16, 24), (24, 16, 24), (32, 8, 12), (64, 4, 6), (96, 4, 6), (160, 2, 3), (320, 2, 3)],
    ),
    "densenet100": (
        lambda: DenseNet100(num_classes=7),
        (8, 12),
        [(24, 8, 12), (216, 8, 12), (300, 4, 6), (342, 2, 3)],
    ),
    "resnet20_projection": (
        lambda: CifarResNet(20, num_classes=7, shortcut="projection"),
        (24, 40),
        [(16, 24, 40), (16, 24, 40), (32, 12, 20), (64, 6, 10)],
    ),
    "dla": (
        lambda: CifarDLA(num_classes=7),
        (16, 24),
        [(32, 16, 24), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)],
    ),
    "simple dla": (
        lambda: CifarDLA(num_classes=7, simple=True),
        (16, 24),
        [(32, 16, 24), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)],
    ),
    "senet18": (
        lambda: CifarSENet18(num_classes=7),
        (16, 24),
        [(64, 16, 24), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)],
    ),
    "regnet": (
        lambda: CifarRegNetY400MF(num_classes=7),
        (16, 24),
        [(64, 16, 24), (32, 16, 24), (64, 16, 24), (160, 8, 12), (384, 4, 6)],
    ),
    "shufflenet_v2": (
        lambda: ShuffleNetV2(num_classes=7),
        (64, 96),
        [(24, 16, 24), (116, 8, 12), (232, 4, 6), (464, 2, 3)],
    ),
    "shufflenet_v2 for small images": (
        lambda: ShuffleNetV2(num_classes=7, small_images=True),
        (64, 96),
        [(24, 64, 96), (116, 32, 48), (232, 16, 24), (464, 8, 12)],
    ),
    "efficientnet_b0": (
        lambda: EfficientNetB0(num_classes=7),
        (64, 96),
        [(32, 32, 48), (16, 32, 48), (24, 16, 24), (40, 8, 12), (80, 4, 6), (112, 4, 6), (192, 2, 3), (320, 2, 3)],
    ),
    "efficientnet_b0 for small images": (
        lambda: EfficientNetB0(num_classes=7, small_images=True),
        (64, 96),
        [(32, 64, 96), (16, 64, 96), (24, 32, 48), (40, 16, 24), (80, 8, 12), (112, 8, 12), (192, 4, 6), (320, 4, 6)],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_stem_and_stages_have_the_published_shapes_and_the_head_takes_the_features(name: str) -> None:
    torch.manual_seed(0)
    create, size, expected = NETWORKS[name]
    network = create().eval()
    shapes: dict[str, tuple[int, ...]] = {}
    stages = network.get_submodule("stages")
    assert isinstance(stages, nn.ModuleList)
    for place in ("stem", *(f"stages.{i}" for i in range(len(stages)))):
        network.get_submodule(place).register_forward_hook(
            lambda _module, _inputs, output, place=place: shapes.update({place: tuple(output.shape[1:])})
        )
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        logits = network(images)
        assert logits.shape == (2, 7)
        assert list(shapes.values()) == expected
        assert torch.equal(network.get_submodule("head")(network.forward_features(images)), logits)  # type: ignore[operator]
