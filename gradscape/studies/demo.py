"""The demo: two small networks on digits, trained and compared, every kind of picture, one page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from gradscape._files import replacing
from gradscape.data import load_split
from gradscape.landscape import SPAN_IMAGES, Progress, SpanSearch, Surface, evaluate_line, random_directions
from gradscape.models import count_parameters
from gradscape.studies import landscape as study
from gradscape.studies.pictures import draw_line, draw_subjects, draw_training
from gradscape.studies.training import train_networks
from gradscape.training import TrainingRun, create_recipe

MODELS = ("upanet16", "upanet16_final_gap")

_DATA = "digits"
_RECIPE = "digits"
_STEPS = 21
_LINE_STEPS = 41
_IMAGES = 128


@dataclass(frozen=True)
class Row:
    """One network in the page's table."""

    name: str
    parameters: int
    accuracy: float
    surface: Surface


def run_demo(output: Path, *, seed: int, device: str, report: Callable[[str, Progress], None]) -> Path:
    """Train, evaluate, draw and write the page; a run that was stopped goes on where it was.

    Args:
        output: Folder of everything.
        seed: Of training and directions.
        device: Where the landscapes are evaluated.
        report: Called with what is being evaluated and its progress.

    Returns:
        The page.
    """
    runs = _train(output, seed=seed)
    models = study.load_models([run.checkpoint for run in runs], device)
    images = load_split(_DATA, "train", limit=_IMAGES, seed=seed)
    subjects = study.make_subjects(models, images, output, seeds=[seed])
    search = study.search_span(subjects, load_split(_DATA, "train", limit=SPAN_IMAGES, seed=seed), output / "span.json")
    surfaces = study.evaluate_subjects(
        subjects, images, study.span_axes(search.span, _STEPS), search=search, report=report
    )
    draw_subjects(subjects, surfaces, output)
    first = subjects[0]
    line = evaluate_line(
        first.model,
        images,
        random_directions(first.model, seed=seed)[0],
        np.linspace(-search.span, search.span, _LINE_STEPS),
        path=output / "line.h5",
        meta={**first.meta, "span": search.span},
        report=lambda progress: report("line", progress),
    )
    draw_line(line, output)
    for subject, run in zip(subjects, runs, strict=True):
        draw_training([run.metrics], subject.folder)
    rows = [
        Row(subject.title, count_parameters(subject.model), run.final_accuracy, surface)
        for subject, run, surface in zip(subjects, runs, surfaces, strict=True)
    ]
    return _write_page(output, rows, search, study.describe_search(search, subjects))


def _train(output: Path, *, seed: int) -> list[TrainingRun]:
    train, test = (load_split(_DATA, name) for name in ("train", "test"))
    return [
        run
        for name in MODELS
        for run in train_networks(
            name,
            train,
            test,
            recipe=create_recipe(_RECIPE),
            recipe_name=_RECIPE,
            output=output / name / "training",
            seed=seed,
            progress=False,
        )
    ]


def _write_page(output: Path, rows: Sequence[Row], search: SpanSearch, trials: str) -> Path:
    environment = Environment(
        loader=PackageLoader("gradscape.studies"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = output / "index.html"
    text = environment.get_template("demo.html").render(rows=rows, search=search, trials=trials, data=_DATA)
    with replacing(page) as partial:
        partial.write_text(text, encoding="utf-8")
    return page
