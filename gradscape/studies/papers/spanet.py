"""Figures of SPANet, IEEE TMM 2021: losses in training, where networks look, each scale's weight, boxes found."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.data.pictures import Pictures
from gradscape.explain.attention import attention_maps
from gradscape.explain.attention_map import AttentionMap
from gradscape.explain.cam import heatmaps
from gradscape.figures.charts.run_curves import figure_run_curves
from gradscape.figures.images.attention import figure_scale_weights
from gradscape.figures.images.boxes import figure_boxes
from gradscape.figures.images.heatmaps import figure_heatmaps
from gradscape.models import Classifier
from gradscape.models.spanet import SpatialPyramidAttention, SpatialPyramidGate
from gradscape.studies.networks import network_kind
from gradscape.studies.papers.checkpoints import Models
from gradscape.studies.papers.exhibits import PictureExhibit, WeightExhibit
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.from_networks import NetworkFigure, heatmap_arrays
from gradscape.studies.papers.from_trainings import TrainingFigure
from gradscape.studies.papers.training_log import TrainingLog, describe_logs
from gradscape.studies.papers.wording import as_in_the_paper, readable, short_name
from gradscape.studies.training_identity import group_alike, identify_training

__all__ = ["BOXES", "FIGURES", "HEATMAPS", "LATE_LOSSES", "LOSSES", "SCALE_WEIGHTS"]

_PYRAMIDS = (SpatialPyramidAttention, SpatialPyramidGate)
_PART_LEFT_OUT = 100 / 300
_CALLED = {
    **{f"{prefix}resnet{depth}": f"ResNet{depth}" for prefix in ("", "cifar_") for depth in (18, 20, 34, 50, 101, 152)},
    **{f"{prefix}mobilenet_v2": "MobileNetV2" for prefix in ("", "cifar_")},
    **{name: name.upper() for name in ("se", "ge", "cbam")},
    **{f"spa_{topology}": f"SPA-{topology.upper()}" for topology in "abc"},
    "se_b": "SE+",
    "se_c": "SE++",
}
"""What the paper calls networks and attentions."""

_DETECTORS = {"retinanet": "RetinaNet", "faster_rcnn": "Faster R-CNN", "mask_rcnn": "Mask R-CNN", "fcos": "FCOS"}


def _draw_losses(logs: Sequence[TrainingLog]) -> Drawing:
    return _draw_curves(logs, ("train_loss", "test_loss"))


def _draw_late_losses(logs: Sequence[TrainingLog]) -> Drawing:
    epochs = min(len(run["epoch"]) for log in logs for run in log.runs)
    return _draw_curves(logs, ("train_loss",), first_epoch=int(_PART_LEFT_OUT * epochs) + 1)


def _draw_curves(logs: Sequence[TrainingLog], columns: Sequence[str], *, first_epoch: int = 1) -> Drawing:
    called = as_in_the_paper([log.title for log in logs], _CALLED)
    page = figure_run_curves({called[log.title]: log.runs for log in logs}, columns, first_epoch=first_epoch)
    arrays: dict[str, np.ndarray] = {
        f"{log.title}.{number}.{column}": run[column]
        for log in logs
        for number, run in enumerate(log.runs)
        for column in ("epoch", *columns)
    }
    return Drawing(page, arrays, describe_logs(logs))


def _draw_heatmaps(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    maps = {
        title: heatmaps(model, pictures.images.to(model.mean.device), method="gradcam")
        for title, model in models.items()
    }
    called = as_in_the_paper(models, _CALLED)
    page = figure_heatmaps(
        pictures.images,
        {called[title]: {one.method: one} for title, one in maps.items()},
        names=[readable(name) for name in pictures.names],
        labels={called[title]: model.labels for title, model in models.items()},
        images_as="columns",
    )
    return Drawing(page, heatmap_arrays(maps), "explained is the class that the network predicts")


def _draw_scale_weights(models: Models, _nothing: None, _seed: int) -> Drawing:
    _check_alike(models)
    trainings = {title: _read_scale_weights(model) for title, model in models.items()}
    (first, *others) = trainings.values()
    names = dict.fromkeys(short_name(model.meta["name"]) for model in models.values())
    page = figure_scale_weights([first, *others] if others else first, title=", ".join(names))
    arrays = {
        f"{title}.{one.block}" if others else one.block: one.values
        for title, maps in trainings.items()
        for one in maps.values()
    }
    return Drawing(page, arrays, "the weights begin at 1")


def _draw_boxes(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    names = _common_classes(models)
    outputs = {title: _detected(model, pictures.images) for title, model in models.items()}
    called = as_in_the_paper(models, {**_CALLED, **_detectors_called(models)})
    shown = [pictures.cropped(number) for number in range(len(pictures.names))]
    page = figure_boxes(shown, {called[title]: found for title, found in outputs.items()}, names=names)
    arrays = {
        f"{title}.{number}.{name}": one[name].cpu().numpy()
        for title, found in outputs.items()
        for number, one in enumerate(found)
        for name in ("boxes", "classes", "scores")
    }
    return Drawing(page, arrays, f"from above: {', '.join(readable(name) for name in pictures.names)}")


def _detected(model: Classifier, images: Tensor) -> list[Mapping[str, Tensor]]:
    with torch.inference_mode():
        return [found for image in images.to(model.mean.device).split(1) for found in model(image)]


def _common_classes(models: Models) -> list[str]:
    """What the classes of all detectors are called."""
    if network_kind(models) != "detector":
        raise ValueError(f"`CKPT` must be detectors, whose boxes are drawn, got {', '.join(models)}")
    names = {tuple(model.labels or map(str, range(model.meta["num_classes"]))) for model in models.values()}
    if len(names) > 1:
        raise ValueError(f"`CKPT` must be detectors of the same classes, but those of {', '.join(models)} differ")
    return list(names.pop())


def _detectors_called(models: Models) -> dict[str, str]:
    """What the paper calls each detector with its backbone."""
    parts = {part for title in models for part in title.split("+") if ":" in part}
    split = [(part, *part.split(":", 1)) for part in parts]
    return {part: f"{_DETECTORS.get(kind, kind)} {_CALLED.get(body, body)}" for part, kind, body in split}


def _read_scale_weights(model: Classifier) -> Mapping[str, AttentionMap]:
    blank = torch.zeros(1, 3, model.image_size, model.image_size, device=model.mean.device)
    return attention_maps(model, blank, kinds=["scale weights"])


def _check_alike(models: Models) -> None:
    """Refuse networks that are no trainings of one, of which no mean makes sense."""
    trainings = {title: identify_training(model.meta) for title, model in models.items()}
    known = {one and one.alike for one in trainings.values()}
    if len(models) > 1 and (None in known or len(group_alike(trainings)[0]) > 1):
        raise ValueError(
            f"`CKPT` must be one network, or trainings that differ in nothing but the seed, and {', '.join(models)} "
            "differ, or do not tell: make them with `gradscape train --seeds`"
        )


# One recipe for all: by their own, the networks without SPA would be trained as in other papers.
LOSSES = TrainingFigure(
    title="loss in training (left) and of the test images (right) against epochs, without attention and with four",
    original="ResNet-50 without attention and with SE, GE, CBAM and SPA, 100 epochs on ImageNet",
    trainings={
        network: f"{network} --data cifar100 --recipe spanet"
        for network in ("resnet20", "resnet20+se", "resnet20+ge", "resnet20+cbam", "resnet20+spa_a")
    },
    draw=_draw_losses,
    fewest=2,
)

LATE_LOSSES = TrainingFigure(
    title="loss in training after the first third of the epochs, MobileNetV2 without SPA and with its three topologies",
    original="MobileNetV2 on CIFAR-100, from epoch 100 of 300",
    trainings={
        network: f"{network} --data cifar100 --recipe spanet"
        for network in (
            "cifar_mobilenet_v2",
            "cifar_mobilenet_v2+spa_a",
            "cifar_mobilenet_v2+spa_b",
            "cifar_mobilenet_v2+spa_c",
        )
    },
    draw=_draw_late_losses,
    fewest=2,
)

HEATMAPS = NetworkFigure(
    title="Grad-CAM of the last map without attention, with SE, with SPA",
    original="ResNet-50, SE-ResNet-50 and SPA-ResNet-50 on three images of ImageNet",
    networks=("resnet20", "resnet20+se", "resnet20+spa_a"),
    exhibit=PictureExhibit(usual=3, most=8),
    draw=_draw_heatmaps,
    attention=_PYRAMIDS,
    training="--data cifar10 --recipe spanet",
)

SCALE_WEIGHTS = NetworkFigure(
    title="|w| of the pyramid's scales, block by block",
    original="SPA-ResNet-50, the backbone of a detector trained on COCO",
    networks=("resnet20+spa_a",),
    exhibit=WeightExhibit(),
    draw=_draw_scale_weights,
    colored=False,
    repeated=True,
    attention=_PYRAMIDS,
)

BOXES = NetworkFigure(
    title="boxes that a detector finds on a backbone without attention, with SE, with SPA",
    original="RetinaNet (and Cascade R-CNN) on ResNet-50, SE- (GC-)ResNet-50 and SPA-ResNet-50, four pictures of COCO",
    networks=("retinanet:resnet50", "retinanet:resnet50+se", "retinanet:resnet50+spa_a"),
    exhibit=PictureExhibit(usual=4, most=8, whole=True),
    draw=_draw_boxes,
    attention=(nn.Module,),  # any detector
    fewest=1,
    training="--data coco:PATH --recipe spanet_retinanet",
    colored=False,
)

FIGURES: dict[str, PaperFigure] = {
    "spanet:3": LOSSES,
    "spanet:4": LATE_LOSSES,
    "spanet:5": HEATMAPS,
    "spanet:6": SCALE_WEIGHTS,
    "spanet:7": BOXES,
}
