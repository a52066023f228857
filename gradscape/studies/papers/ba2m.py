"""Figures of BA²M, arXiv:2103.15099: features of many images and of one, and what the batch size of training does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from gradscape.data.pictures import Pictures
from gradscape.explain.embedding import embed
from gradscape.explain.features import feature_maps
from gradscape.explain.procrustes import align_embeddings
from gradscape.explain.target_layer import resolve_layer
from gradscape.figures.charts.batch_sizes import figure_batch_sizes
from gradscape.figures.charts.embedding import figure_embeddings
from gradscape.figures.images.fusion import figure_features
from gradscape.models import Classifier
from gradscape.models.ba2m import BA2M
from gradscape.studies.papers.checkpoints import Models
from gradscape.studies.papers.exhibits import DataExhibit, PictureExhibit
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.from_networks import NetworkFigure
from gradscape.studies.papers.from_trainings import TrainingFigure
from gradscape.studies.papers.published import published_table
from gradscape.studies.papers.training_log import TrainingLog, describe_epochs, describe_logs
from gradscape.studies.papers.wording import path_end
from gradscape.studies.tsne import ChosenImages

__all__ = ["BATCH_SIZES", "EMBEDDINGS", "FEATURES", "FIGURES"]

_CHANNELS = 16
_ALONE = "alone, an image has BA²M's mean weight: what differs is what the trainings made of the features"
_SIZES = (4, 8, 16, 32, 64, 128, 256)
# By their own recipes, networks without BA²M would be trained as in other papers.
_LIKE_EACH_OTHER = "--data cifar10 --recipe ba2m"


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
    return Drawing(page, arrays, " · ".join(part for part in (said, _ALONE) if part))


def _second_stage(title: str, model: Classifier) -> nn.Module:
    """What the paper calls the second block: BA²M stands after each of four."""
    stages = getattr(model.network, "stages", ())
    if len(stages) < 2:
        raise ValueError(f"`CKPT` must be networks with at least two stages, and {title} has {len(stages)}")
    return list(stages)[1]


def _draw_batch_sizes(logs: Sequence[TrainingLog]) -> Drawing:
    errors, rates = dict[int, list[float]](), dict[int, float]()
    for log in logs:
        size = _batch_size(log)
        errors.setdefault(size, []).extend(100 * (1 - float(run["test_accuracy"][-1])) for run in log.runs)
        rates[size] = float(log.runs[0]["learning_rate"][0])
    printed = [row.error for row in published_table("ba2m", "VIII") if row.row == "R = 32" and row.error is not None]
    # The table is of batches of 256.
    page = figure_batch_sizes(errors, published=dict(zip(_SIZES[-1:], printed, strict=True)))
    said = (
        f"test error {describe_epochs(logs)}",
        _describe_rates(rates),
        f"networks: {', '.join(dict.fromkeys(str(log.meta['name']) for log in logs))}",
        describe_logs(logs, but=("batch_size",)),
    )
    arrays = {f"n{size}": np.array(several) for size, several in errors.items()}
    return Drawing(page, arrays, " · ".join(said))


def _batch_size(log: TrainingLog) -> int:
    recipe = log.meta.get("recipe")
    if not isinstance(recipe, dict) or "batch_size" not in recipe:
        raise ValueError(
            f"`RUN_DIR` must hold checkpoints that tell their batch size, and {log.title} has none; make one with "
            f"`gradscape train {_training(_SIZES[0])} -o runs/n{_SIZES[0]}`"
        )
    return int(recipe["batch_size"])


def _describe_rates(rates: Mapping[int, float]) -> str:
    """Whether learning rates go with the batch sizes."""
    unit = {size: rate / size for size, rate in rates.items()}
    if max(unit.values()) <= 1.001 * min(unit.values()):
        return f"learning rate {128 * max(unit.values()):.3g} for N = 128, in proportion to N"
    return (
        f"learning rates not in proportion to N: {', '.join(f'{rate:.3g} for {size}' for size, rate in rates.items())}"
    )


def _training(size: int) -> str:
    # The recipe scales the learning rate, 0.1 for 128 images, and has five seeds.
    return f"cifar_resnet50+ba2m --data cifar100 --recipe ba2m --batch-size {size}"


EMBEDDINGS = NetworkFigure(
    title="t-SNE of the features of chosen classes, 50 images each, for several networks",
    original="ResNet-50 with SE, BAM, CBAM, GE and BA²M on 700 images of ImageNet",
    networks=("resnet20", "resnet20+se", "resnet20+bam", "resnet20+cbam", "resnet20+ge", "resnet20+ba2m"),
    exhibit=DataExhibit(),
    draw=_draw_embeddings,
    colored=False,
    attention=(BA2M,),
    fewest=2,
    training=_LIKE_EACH_OTHER,
)

FEATURES = NetworkFigure(
    title="feature maps after the second of the stages, without and with BA²M",
    original="ResNet-50 on an image of ImageNet",
    networks=("resnet20", "resnet20+ba2m"),
    exhibit=PictureExhibit(),
    draw=_draw_features,
    attention=(BA2M,),
    fewest=1,
    training=_LIKE_EACH_OTHER,
)

BATCH_SIZES = TrainingFigure(
    title="test error against the batch size of training",
    original="ResNet-50 with BA²M on CIFAR-100, mean of five runs; the paper prints the value for N = 256 alone",
    trainings={f"n{size}": _training(size) for size in _SIZES},
    draw=_draw_batch_sizes,
    fewest=2,
)

FIGURES: dict[str, PaperFigure] = {
    "ba2m:1": EMBEDDINGS,
    "ba2m:3": FEATURES,
    "ba2m:5": BATCH_SIZES,
}
