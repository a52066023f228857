from .cifar_resnets import CifarResNet
from .densenet import DenseNet100, DenseNet121, DenseNet201
from .dla import CifarDLA
from .efficientnet import EfficientNetB0
from .mobilenet_v1 import MobileNetV1
from .mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from .preact_resnets import create_preact_resnet, create_preact_resnet110, create_preact_resnet200
from .regnet import CifarRegNetY400MF
from .resnets import create_resnet
from .resnexts import CifarResNeXt
from .senet import CifarSENet18
from .shufflenet_v2 import ShuffleNetV2
from .substitutes import NumberedLayers, Substitute
from .vgg import CifarVGG16
from .wide_resnets import create_wide_resnet

__all__ = [
    "CifarDLA",
    "CifarMobileNetV2",
    "CifarRegNetY400MF",
    "CifarResNeXt",
    "CifarResNet",
    "CifarSENet18",
    "CifarVGG16",
    "DenseNet100",
    "DenseNet121",
    "DenseNet201",
    "EfficientNetB0",
    "MobileNetV1",
    "MobileNetV2",
    "NumberedLayers",
    "ShuffleNetV2",
    "Substitute",
    "create_preact_resnet",
    "create_preact_resnet110",
    "create_preact_resnet200",
    "create_resnet",
    "create_wide_resnet",
]
