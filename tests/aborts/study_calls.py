"""The public functions of whole jobs, which take loaded checkpoints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from gradscape import studies
from gradscape._checkpoint import Classifier
from gradscape.data import Pictures, Split, load_split
from gradscape.landscape import Options
from tests.aborts.networks import CLASSES
from tests.aborts.trip import Trip

__all__ = ["STUDIES"]

_AXES = np.array([-0.5, 0.5]), np.array([0.0, 1.0])
_OPTIONS = Options(batch_size=8)

Job = Callable[[nn.Module, Trip], object]


@cache
def _split() -> Split:
    return load_split("digits", "test", image_size=8, limit=20, batch_size=8)


def _pictures() -> Pictures:
    images, _ = next(iter(_split()))
    return Pictures(images[:2], ("one", "two"))


def _classifier(model: nn.Module) -> Classifier:
    return Classifier(
        model,
        {
            "name": "net",
            "num_classes": CLASSES,
            "image_size": 8,
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
            "labels": list(_split().classes),
        },
    )


@contextmanager
def _subjects(model: nn.Module) -> Iterator[tuple[list[Any], Path]]:
    with TemporaryDirectory() as folder:
        output = Path(folder)
        yield studies.make_subjects({"net": _classifier(model)}, _split(), output, seeds=[0]), output


def _answers(model: nn.Module, trip: Trip) -> object:
    return studies.answer_images(
        {"net": _classifier(model)},
        _split(),
        classes=tuple(_split().classes),
        watch=lambda *_: trip.met("report"),
    )


def _scores(model: nn.Module, trip: Trip) -> object:
    return studies.evaluate_networks({"net": _classifier(model)}, _split(), report=lambda *_: trip.met("report"))


def _attended(model: nn.Module, _trip: Trip) -> object:
    return studies.attend_pictures("net", _classifier(model), _pictures())


def _fused(model: nn.Module, _trip: Trip) -> object:
    return studies.fuse_pictures("net", _classifier(model), _pictures())


def _explained(model: nn.Module, _trip: Trip) -> object:
    return studies.explain_pictures({"net": _classifier(model)}, _pictures(), target_layer="mixed")


def _embedded(model: nn.Module, _trip: Trip) -> object:
    chosen = studies.ChosenImages(_split(), range(16))
    return list(studies.embed_models({"net": _classifier(model)}, chosen, perplexity=3))


def _made(model: nn.Module, _trip: Trip) -> object:
    with _subjects(model) as (subjects, _):
        return subjects


def _surfaces(model: nn.Module, trip: Trip) -> object:
    with _subjects(model) as (subjects, _):
        return studies.evaluate_subjects(
            subjects, _split(), _AXES, report=lambda *_: trip.met("report"), options=_OPTIONS
        )


def _searched(model: nn.Module, trip: Trip) -> object:
    with _subjects(model) as (subjects, output):
        return studies.search_span(subjects, _split(), output / "search.json", report=lambda _: trip.met("report"))


def _settled(model: nn.Module, _trip: Trip) -> object:
    with _subjects(model) as (subjects, output):
        return studies.settle_axes(
            subjects, lambda **_: _split(), output / "search.json", span=None, steps=3, grid=None
        )


def _estimated(model: nn.Module, _trip: Trip) -> object:
    with _subjects(model) as (subjects, _):
        return studies.estimate(subjects, _split(), _AXES, options=_OPTIONS)


def _path(model: nn.Module, _trip: Trip) -> object:
    first, second = _classifier(model), _classifier(model)
    return studies.make_path({"one": first, "other": second}, _split(), span=1.0, steps=3, seed=0)


STUDIES: dict[str, tuple[str, Job, float]] = {
    "answers": ("studies.answer_images", _answers, 1.0),
    "scores": ("studies.evaluate_networks", _scores, 0.3),
    "attended pictures": ("studies.attend_pictures", _attended, 0.5),
    "fused pictures": ("studies.fuse_pictures", _fused, 0.5),
    "explained pictures": ("studies.explain_pictures", _explained, 0.2),
    "embedded pictures": ("studies.embed_models", _embedded, 0.1),
    "subjects": ("studies.make_subjects", _made, 0.2),
    "surfaces": ("studies.evaluate_subjects", _surfaces, 0.2),
    "searched span": ("studies.search_span", _searched, 0.05),
    "settled axes": ("studies.settle_axes", _settled, 0.05),
    "estimate": ("studies.estimate", _estimated, 0.05),
    "path": ("studies.make_path", _path, 0.2),
}
