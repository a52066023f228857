"""One network of every module of torchvision's models, the smallest, at small and odd sizes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.video.mvit import MSBlockConfig

from tests.wild.places import CHANNELS_FIRST, CHANNELS_LAST, Places, tokens
from tests.wild.subject import CLASSES, Subject, pictures

__all__ = ["TORCHVISION"]


def _made(name: str, **options: Any) -> Callable[[], nn.Module]:
    return partial(models.get_model, name, weights=None, **options)


def _classifier(name: str, *size: int, places: Places = CHANNELS_FIRST, **options: Any) -> Subject:
    return Subject(
        name=f"torchvision {name}",
        family=_family(name),
        build=_made(name, num_classes=CLASSES, **options),
        inputs=pictures(3, *size),
        places=places,
    )


def _family(name: str) -> str:
    module: str = models.get_model_builder(name).__module__
    return module.removeprefix("torchvision.models.")


def _video(name: str, *size: int, **options: Any) -> Subject:
    return Subject(
        name=f"torchvision {name}",
        family=_family(name),
        build=_made(name, num_classes=CLASSES, **options),
        inputs=pictures(3, *size),
    )


def _mvit() -> Subject:
    """Two blocks, of which the second pools."""
    blocks = [
        MSBlockConfig(2, 16, 16, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 2, 2]),
        MSBlockConfig(4, 16, 32, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1]),
    ]
    rules = {"residual_pool": True, "residual_with_cls_embed": False, "rel_pos_embed": True, "proj_after_attn": True}
    build = partial(models.video.MViT, (32, 48), 8, blocks, num_classes=CLASSES, **rules)
    return Subject(name="torchvision MViT", family=_family("mvit_v2_s"), build=build, inputs=pictures(3, 8, 32, 48))


def _s3d() -> Subject:
    """With an average over all that small pictures leave, and not over seven rows."""

    def build() -> nn.Module:
        model = models.get_model("s3d", weights=None, num_classes=CLASSES)
        model.avgpool = nn.AdaptiveAvgPool3d(1)
        return model

    return Subject(name="torchvision s3d", family=_family("s3d"), build=build, inputs=pictures(3, 16, 32, 48))


def _segmenter(name: str) -> Subject:
    """Each pixel has a class; the loss is a picture's mean."""

    def loss(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
        return lambda output, labels: nn.functional.cross_entropy(output["out"], labels, reduction="none").mean((1, 2))

    return Subject(
        name=f"torchvision {name}",
        family=_family(name),
        build=_made(name, weights_backbone=None, num_classes=CLASSES),
        inputs=pictures(3, 48, 80),
        labels=lambda count: torch.arange(count * 48 * 80).reshape(count, 48, 80) % CLASSES,
        loss=loss,
        metric=None,
        score=lambda output: output["out"][:, 1].mean((1, 2)),
        places=CHANNELS_FIRST,
        classifier=False,
    )


def _scores(output: list[dict[str, Tensor]]) -> Tensor:
    """How much is found in each picture."""
    return torch.stack([one["scores"].sum() for one in output])


def _found(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
    return lambda output, _labels: _scores(output)


def _detector(name: str, *size: int, places: Places | None = CHANNELS_FIRST, **options: Any) -> Subject:
    """A detector that nobody trained finds nothing, unless everything is found; then a few things do."""
    return Subject(
        name=f"torchvision {name}",
        family=_family(name),
        build=_made(name, num_classes=CLASSES, weights_backbone=None, **options),
        inputs=pictures(3, *size),
        loss=_found,
        metric=None,
        score=_scores,
        places=places,
        classifier=False,
    )


def _ssd() -> Subject:
    """Without batch norms fresh weights make the best scores 1.0 wherever they are: a smaller head does not."""
    subject = _detector("ssd300_vgg16", 300, 300, **_ONE_STAGE)

    def build() -> nn.Module:
        model = subject.build()
        with torch.no_grad():
            for parameter in model.get_submodule("head.classification_head").parameters():
                parameter.mul_(0.1)
        return model

    return replace(subject, build=build)


def _raft() -> Subject:
    """From one picture to the next; both come as one input of twice the channels."""

    def loss(_: nn.Module) -> Callable[[Any, Tensor], Tensor]:
        return lambda output, labels: (output[-1] - labels[:, None, None, None]).square().mean((1, 2, 3))

    return Subject(
        name="torchvision raft_small",
        family=_family("raft_small"),
        build=_made("raft_small"),
        inputs=pictures(6, 128, 136),
        forward=lambda model, both: model(both[:, :3], both[:, 3:], num_flow_updates=2),
        loss=loss,
        metric=None,
        classifier=False,
    )


def _vit() -> Subject:
    """Three layers of 64 channels: the smallest of torchvision's own has 88 million parameters."""
    sizes = {"image_size": 96, "patch_size": 16, "num_layers": 3, "num_heads": 4, "hidden_dim": 64, "mlp_dim": 128}
    return Subject(
        name="torchvision VisionTransformer",
        family=_family("vit_b_16"),
        build=partial(models.VisionTransformer, **sizes, num_classes=CLASSES),
        inputs=pictures(3, 96, 96),
        places=tokens(before=1),
    )


def _maxvit() -> Subject:
    """Two stages, with windows that small images have."""
    sizes = {
        "input_size": (96, 96),
        "partition_size": 3,
        "stem_channels": 32,
        "head_dim": 16,
        "stochastic_depth_prob": 0.1,
    }
    return Subject(
        name="torchvision MaxVit",
        family=_family("maxvit_t"),
        build=partial(models.MaxVit, **sizes, block_channels=[32, 64], block_layers=[1, 2], num_classes=CLASSES),
        inputs=pictures(3, 96, 96),
        places=CHANNELS_FIRST,
    )


def _with_small_head(name: str, *size: int) -> Subject:
    """Without the 100 million parameters of the hidden layers in its head."""

    def build() -> nn.Module:
        model = models.get_model(name, weights=None)
        channels = next(one.in_features for one in model.classifier if isinstance(one, nn.Linear))
        model.classifier = nn.Sequential(nn.Linear(channels, 40), nn.ReLU(inplace=True), nn.Linear(40, CLASSES))
        return model

    return Subject(
        name=f"torchvision {name}", family=_family(name), build=build, inputs=pictures(3, *size), places=CHANNELS_FIRST
    )


_SWIN = replace(CHANNELS_LAST, first_at=("permute",))
_SIDES: dict[str, Any] = {"min_size": 64, "max_size": 96}
_ONE_STAGE: dict[str, Any] = {"score_thresh": 0.0, "detections_per_img": 4, "topk_candidates": 8}
# Pyramids of maps have no last one of which all is seen: FCOS's and RetinaNet's are shown their landscapes alone.
_TWO_STAGES: dict[str, Any] = {
    **_SIDES,
    "box_score_thresh": 0.0,
    "box_detections_per_img": 4,
    "rpn_pre_nms_top_n_test": 20,
    "rpn_post_nms_top_n_test": 8,
}

TORCHVISION = [
    _with_small_head("alexnet", 64, 96),
    _classifier("convnext_tiny", 64, 96),
    _classifier("densenet121", 64, 96),
    _classifier("efficientnet_b0", 64, 96),
    _classifier("googlenet", 64, 96, init_weights=False),
    _classifier("inception_v3", 139, 171, init_weights=False),
    _maxvit(),
    _classifier("mnasnet0_5", 64, 96),
    _classifier("mobilenet_v2", 64, 97),
    _classifier("mobilenet_v3_small", 64, 96),
    _classifier("regnet_x_400mf", 64, 96),
    _classifier("resnet18", 67, 96),
    _classifier("shufflenet_v2_x0_5", 64, 96),
    _classifier("squeezenet1_1", 64, 96),
    _classifier("swin_t", 96, 160, places=_SWIN),
    _with_small_head("vgg11", 64, 96),
    _vit(),
    _classifier("quantized_googlenet", 64, 96, quantize=False, init_weights=False),
    _classifier("quantized_inception_v3", 139, 171, quantize=False, init_weights=False),
    _classifier("quantized_mobilenet_v2", 64, 96, quantize=False),
    _classifier("quantized_mobilenet_v3_large", 64, 96, quantize=False),
    _classifier("quantized_resnet18", 64, 96, quantize=False),
    _classifier("quantized_shufflenet_v2_x0_5", 64, 96, quantize=False),
    _segmenter("deeplabv3_mobilenet_v3_large"),
    _segmenter("fcn_resnet50"),
    _segmenter("lraspp_mobilenet_v3_large"),
    _detector("fasterrcnn_mobilenet_v3_large_320_fpn", 64, 96, **_TWO_STAGES),
    _detector("keypointrcnn_resnet50_fpn", 64, 96, num_keypoints=3, **_TWO_STAGES),
    _detector("maskrcnn_resnet50_fpn", 64, 96, **_TWO_STAGES),
    _detector("fcos_resnet50_fpn", 64, 96, places=None, **_SIDES, **_ONE_STAGE),
    _detector("retinanet_resnet50_fpn", 64, 96, places=None, **_SIDES, **_ONE_STAGE),
    _ssd(),
    _detector("ssdlite320_mobilenet_v3_large", 320, 320, **_ONE_STAGE),
    _video("r3d_18", 8, 32, 48),
    _mvit(),
    _s3d(),
    _video("swin3d_t", 8, 64, 64),
    _raft(),
]
