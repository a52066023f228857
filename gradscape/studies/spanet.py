"""Figures of SPANet, IEEE ICME 2020: where networks look, and how much each scale of the pyramid counts."""

import torch

from gradscape.data.pictures import Pictures
from gradscape.explain.attention import attention_maps
from gradscape.explain.cam import heatmaps
from gradscape.figures.attention import figure_scale_weights
from gradscape.figures.heatmaps import figure_heatmaps
from gradscape.models.spanet import SpatialPyramidAttention, SpatialPyramidGate
from gradscape.studies.paper_figure import Drawing, Models, PaperFigure, heatmap_arrays, readable

__all__ = ["HEATMAPS", "SCALE_WEIGHTS"]

_PYRAMIDS = (SpatialPyramidAttention, SpatialPyramidGate)


def _draw_heatmaps(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    maps = {
        title: heatmaps(model, pictures.images.to(model.mean.device), method="gradcam")
        for title, model in models.items()
    }
    page = figure_heatmaps(
        pictures.images,
        {title: {one.method: one} for title, one in maps.items()},
        names=[readable(name) for name in pictures.names],
        labels={title: model.labels for title, model in models.items()},
        images_as="columns",
    )
    return Drawing(page, heatmap_arrays(maps), "explained is the class that the network predicts")


def _draw_scale_weights(models: Models, _nothing: None, _seed: int) -> Drawing:
    ((title, model),) = models.items()
    blank = torch.zeros(1, 3, model.image_size, model.image_size, device=model.mean.device)
    maps = attention_maps(model, blank, kinds=["scale weights"])
    page = figure_scale_weights(maps, title=title)
    return Drawing(page, {one.block: one.values for one in maps.values()}, "the weights begin at 1")


HEATMAPS = PaperFigure(
    title="Grad-CAM of the last map without attention, with SE, with SPA",
    original="ResNet-50, SE-ResNet-50 and SPA-ResNet-50 on three images of ImageNet",
    networks=("resnet20", "resnet20+se", "resnet20+spa_a"),
    takes="pictures",
    draw=_draw_heatmaps,
    attention=_PYRAMIDS,
    pictures=3,
    most_pictures=8,
)

SCALE_WEIGHTS = PaperFigure(
    title="|w| of the pyramid's scales, block by block",
    original="SPA-ResNet-50, the backbone of a detector trained on COCO",
    networks=("resnet20+spa_a",),
    takes="weights",
    draw=_draw_scale_weights,
    attention=_PYRAMIDS,
)
