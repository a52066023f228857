"""The papers' figures by name: which there are, what each takes, and how it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradscape import __version__
from gradscape._arrays import save_arrays
from gradscape._digest import digest_tensors
from gradscape._names import unknown_name
from gradscape.data.pictures import Pictures, load_pictures
from gradscape.figures import save_figure
from gradscape.figures.remark import add_remark, caption_of
from gradscape.models import Classifier
from gradscape.studies import ba2m, spanet, ulsam, upanets
from gradscape.studies.fusion import noise_pictures
from gradscape.studies.landscape import common_image_size
from gradscape.studies.paper_figure import PaperFigure, describe_networks, path_end, short_name
from gradscape.studies.subjects import load_finite_models
from gradscape.studies.tsne import ChosenImages, choose_images

__all__ = ["FIGURES", "HEADINGS", "find_figure", "make_figure", "tabulate_figures"]

FIGURES: dict[str, PaperFigure] = {
    "upanets:1": upanets.ATTENTION_PROCESS,
    "upanets:7": upanets.FUSION,
    "upanets:19": upanets.NOISE_FUSION,
    "spanet:5": spanet.HEATMAPS,
    "spanet:6": spanet.SCALE_WEIGHTS,
    "ulsam:3": ulsam.HEATMAPS,
    "ba2m:1": ba2m.EMBEDDINGS,
    "ba2m:3": ba2m.FEATURES,
}

HEADINGS = ("figure", "shows", "needs", "made by")

_PER_CLASS = 50


def tabulate_figures() -> list[tuple[str, ...]]:
    """Return a row for each figure, under `HEADINGS`: what it shows and needs, and the command that makes it."""
    return [
        (name, figure.title, figure.needs, f"gradscape figure {name} CKPT...{figure.inputs} -o out")
        for name, figure in FIGURES.items()
    ]


def find_figure(name: str) -> PaperFigure:
    """Return a figure by its name, such as `upanets:7`.

    Raises:
        ValueError: There is no such figure.
    """
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    return FIGURES[name]


def make_figure(
    name: str,
    checkpoints: Sequence[Path],
    output: Path,
    *,
    images: Sequence[Path] = (),
    data: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    **choosing: Any,
) -> list[Path]:
    """Draw a paper's figure from networks and images of one's own.

    Args:
        name: The figure, such as `upanets:7`.
        checkpoints: The networks, in the order of the figure's `networks`.
        output: Folder for `upanets_7.pdf`, `.png` and `.npz`, the arrays that it shows.
        images: Image files and folders.
        data: Name of a data set to take images from instead.
        seed: Chooses images from a data set; seed of noise and t-SNE.
        device: Where the networks run.
        **choosing: Options of `choose_images`: split, limit, classes, and those of `load_split`.

    Returns:
        What was written.

    Raises:
        ValueError: There is no such figure, or it takes other networks or images; the message has the command that
            makes what is missing.
        FileNotFoundError: A checkpoint, picture or data set is not there.
    """
    figure = find_figure(name)
    _check_checkpoints(name, figure, checkpoints)
    _check_images(name, figure, images, data)
    if data is None and (choosing.get("limit") or choosing.get("classes")):
        raise ValueError("`--limit` and `--classes` choose images of `--data`: name the data set, or leave them out")
    models = _titled(load_finite_models(checkpoints, device))
    _check_attention(name, figure, models)
    size = common_image_size(models)
    shown, source = _gather(name, figure, images, data, image_size=size, seed=seed, **choosing)
    drawing = figure.draw(models, shown, seed)
    said = (drawing.said, describe_networks(models), source, f"in the paper: {figure.original}")
    add_remark(drawing.figure, " · ".join(part for part in said if part))
    stem = output / name.replace(":", "_")
    written = save_figure(drawing.figure, stem)
    arrays = {"images": shown.images.numpy(), **drawing.arrays} if isinstance(shown, Pictures) else drawing.arrays
    meta = {"caption": caption_of(drawing.figure), **_provenance(name, models, shown, seed)}
    save_arrays(f"{stem}.npz", arrays, meta)
    return [*written, Path(f"{stem}.npz")]


def _check_checkpoints(name: str, figure: PaperFigure, paths: Sequence[Path]) -> None:
    networks = figure.networks
    if len(paths) < (figure.fewest or len(networks)):
        raise ValueError(
            f"`CKPT` must be {figure.needs.partition(';')[0]}; {name} got {len(paths)}. "
            f"Make one with `{figure.training_command(networks[len(paths)])}`"
        )
    if len(paths) > len(networks):
        raise ValueError(f"`CKPT` must be {figure.needs.partition(';')[0]}; {name} got {len(paths)}: leave some out")
    for path, network in zip(paths, networks, strict=False):
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no checkpoint {path}; make one with `{figure.training_command(network)}`"
            )


def _check_images(name: str, figure: PaperFigure, images: Sequence[Path], data: str | None) -> None:
    if figure.takes == "pictures" and bool(images) == (data is not None):
        raise ValueError(f"`--images PATH...` or `--data D` must say what {name} shows: give one of them")
    if figure.takes == "data" and (images or data is None):
        raise ValueError(f"`--data D` must name the data set that {name} shows many images of, and no `--images`")
    if figure.takes in ("noise", "weights") and (images or data is not None):
        raise ValueError(f"{name} shows {figure.takes} and takes neither `--images` nor `--data`: leave them out")


def _check_attention(name: str, figure: PaperFigure, models: Mapping[str, Classifier]) -> None:
    if any(isinstance(module, figure.attention) for model in models.values() for module in model.modules()):
        return
    kinds = " or ".join(kind.__name__ for kind in figure.attention)
    raise ValueError(
        f"`CKPT` must have a network with {kinds} for {name}, got {', '.join(models)}; "
        f"make one with `{figure.training_command(figure.networks[-1])}`"
    )


def _titled(models: Mapping[str, Classifier]) -> dict[str, Classifier]:
    """Models by their names without options, where these tell them apart."""
    short = [short_name(model.meta["name"]) for model in models.values()]
    return dict(zip(short if len(set(short)) == len(short) else models, models.values(), strict=True))


def _gather(
    name: str, figure: PaperFigure, images: Sequence[Path], data: str | None, *, seed: int, **choosing: Any
) -> tuple[Pictures | ChosenImages | None, str]:
    """What the networks are shown, and what the caption says of it."""
    size = choosing["image_size"]
    if figure.takes == "weights":
        return None, ""
    if figure.takes == "noise":
        return noise_pictures(size, seed=seed), ""
    if data is None:
        pictures = load_pictures(images, size)
        _check_room(name, figure, len(pictures.names))
        return pictures, f"pictures at {size} pixels"
    limit = choosing.pop("limit", None)
    split, classes = choosing.pop("split", "test"), choosing.pop("classes", None)
    chosen = choose_images(data, split, classes=classes, limit=None, seed=seed, **choosing)
    if figure.takes == "data":
        return replace(chosen, order=chosen.order[: limit or _PER_CLASS * _classes_of(chosen)]), ""
    count = limit or figure.pictures
    _check_room(name, figure, count)
    source = f"pictures of {path_end(data)} ({split}) at {size} pixels, chosen by seed {seed}"
    return _as_pictures(replace(chosen, order=chosen.order[:count])), source


def _check_room(name: str, figure: PaperFigure, count: int) -> None:
    if count > figure.most_pictures:
        pictures = "one picture" if figure.most_pictures == 1 else f"{figure.most_pictures} pictures at most"
        raise ValueError(f"`--images` must be {pictures} for {name}, got {count}: leave some out")


def _classes_of(chosen: ChosenImages) -> int:
    return len(np.unique(chosen.split.dataset.labels.numpy()[list(chosen.order)]))


def _as_pictures(chosen: ChosenImages) -> Pictures:
    batches = list(chosen)
    names = tuple(chosen.classes[label] for _, labels in batches for label in labels.tolist())
    return Pictures(torch.cat([images for images, _ in batches]), names)


def _provenance(
    name: str, models: Mapping[str, Classifier], shown: Pictures | ChosenImages | None, seed: int
) -> dict[str, Any]:
    networks = {
        title: {
            "name": model.meta["name"],
            "weights": digest_tensors((*model.named_parameters(), *model.named_buffers())),
            "scores": model.meta.get("scores"),
        }
        for title, model in models.items()
    }
    return {
        "figure": name,
        "networks": networks,
        "image_names": list(shown.names) if isinstance(shown, Pictures) else [],
        "seed": seed,
        "versions": {"gradscape": __version__, "torch": torch.__version__},
    }
