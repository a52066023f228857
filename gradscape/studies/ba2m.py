"""Figures of BA²M, arXiv:2103.15099: features of many images in the plane, and of one image as maps."""

from dataclasses import replace

import numpy as np
from torch import nn

from gradscape.data.pictures import Pictures
from gradscape.explain.alignment import align_embeddings
from gradscape.explain.embedding import embed
from gradscape.explain.features import feature_maps
from gradscape.explain.target_layer import resolve_layer
from gradscape.figures.embedding import figure_embeddings
from gradscape.figures.fusion import figure_features
from gradscape.models import Classifier
from gradscape.models.ba2m import BA2M
from gradscape.studies.paper_figure import Drawing, Models, PaperFigure, path_end
from gradscape.studies.tsne import ChosenImages

__all__ = ["EMBEDDINGS", "FEATURES"]

_CHANNELS = 16


def _draw_embeddings(models: Models, images: ChosenImages, seed: int) -> Drawing:
    about = {"data": path_end(images.split.name), "split": images.split.split}
    embeddings = []
    for title, model in models.items():
        made = embed(model, images, seed=seed)
        embeddings.append(replace(made, meta={**made.meta, **about, "model": title}))
    aligned = align_embeddings(embeddings)
    arrays = {f"{title}.points": one.points for title, one in zip(models, aligned, strict=True)}
    return Drawing(figure_embeddings(aligned, list(models)), {"labels": aligned[0].labels, **arrays})


def _draw_features(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    stages = {title: _second_stage(title, model) for title, model in models.items()}
    features = {
        title: feature_maps(model, pictures.images.to(model.mean.device), layer=stages[title])[0]
        for title, model in models.items()
    }
    layers = dict.fromkeys(resolve_layer(model, stages[title], pictures.images)[0] for title, model in models.items())
    page = figure_features(
        features, most=_CHANNELS, image=pictures.images[0], title=f"{', '.join(layers)} · {pictures.names[0]}"
    )
    said = "channels of different networks do not correspond to each other" if len(models) > 1 else ""
    arrays: dict[str, np.ndarray] = {**features}
    return Drawing(page, arrays, said)


def _second_stage(title: str, model: Classifier) -> nn.Module:
    """What the paper calls the second block: BA²M stands after each of four."""
    stages = getattr(model.network, "stages", ())
    if len(stages) < 2:
        raise ValueError(f"`CKPT` must be networks with at least two stages, and {title} has {len(stages)}")
    return list(stages)[1]


EMBEDDINGS = PaperFigure(
    title="t-SNE of the features of chosen classes, 50 images each, for several networks",
    original="ResNet-50 with SE, BAM, CBAM, GE and BA²M on 700 images of ImageNet",
    networks=("resnet20", "resnet20+se", "resnet20+bam", "resnet20+cbam", "resnet20+ge", "resnet20+ba2m"),
    takes="data",
    draw=_draw_embeddings,
    attention=(BA2M,),
    fewest=2,
)

FEATURES = PaperFigure(
    title="feature maps after the second of the stages, without and with BA²M",
    original="ResNet-50 on an image of ImageNet",
    networks=("resnet20", "resnet20+ba2m"),
    takes="pictures",
    draw=_draw_features,
    attention=(BA2M,),
    fewest=1,
)
