"""One landscape or several on one scale: checkpoints in, surfaces and pictures out."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
from torch import Tensor

from gradscape import __version__
from gradscape._digest import digest_model, digest_tensors
from gradscape._files import replacing_text
from gradscape._provenance import CHANCE
from gradscape._recipe_record import RECIPE, describe_trained_loss, recorded_recipe
from gradscape._schema import check_record
from gradscape._text_files import read_json
from gradscape.data.named_batches import NamedBatches
from gradscape.figures.surfaces.scales import WIDE
from gradscape.landscape import (
    SPAN_IMAGES,
    Direction,
    Options,
    Progress,
    SpanSearch,
    Surface,
    Trajectory,
    Trial,
    find_span,
    random_directions,
    summarize_direction,
    top1,
)
from gradscape.landscape.engine import KnownGraphs, MetricFunction, Task
from gradscape.landscape.engine.blocks import leaves_in
from gradscape.landscape.engine.plan import block_images
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.landscape.statistics import LEAST_BLOCKS
from gradscape.models import Classifier
from gradscape.studies.chance import models_at_chance
from gradscape.studies.live import LivePage
from gradscape.studies.networks import check_classes
from gradscape.studies.recalibration import calibration_names
from gradscape.studies.spanned_planes import SpannedPlane, frame_axes, placed_runs
from gradscape.studies.training_identity import TRAINING, identify_training

__all__ = [
    "Axes",
    "Subject",
    "advice_before",
    "advice_on_loss",
    "describe_directions",
    "describe_search",
    "evaluate_subjects",
    "framed_axes",
    "make_subjects",
    "remembered_search",
    "search_span",
    "settle_axes",
    "span_axes",
]

Axes = tuple[np.ndarray, np.ndarray]

_AXES = ("alphas", "betas")
_RUNS = "trajectory_paths"
_PLACES = ("checkpoint", "direction_path", _RUNS)

_LEAST_SECONDS = 1e-3  # when the time is up: every point still gets its first images


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network and the plane through it that is looked at.

    Attributes:
        title: What pictures call it.
        model: Takes images in [0, 1].
        directions: The pair that spans the plane.
        folder: Where its surface and pictures go.
        meta: Provenance: model, data, split, seed and how the directions were made.
        graphs: Of the models of all subjects that were made together: each is traced once, however often it is looked
            at.
    """

    title: str
    model: Classifier
    directions: Sequence[Direction]
    folder: Path
    meta: Mapping[str, Any]
    graphs: KnownGraphs = field(default_factory=dict, repr=False)

    @property
    def key(self) -> dict[str, Any]:
        """What identifies a search for its span."""
        directions = [digest_tensors(direction.items()) for direction in self.directions]
        # Files may move; whether a network only guesses, how it was trained and in which run follows from the rest.
        made = {name: value for name, value in self.meta.items() if name not in (CHANCE, RECIPE, TRAINING, *_PLACES)}
        return {**made, "weights": digest_model(self.model), "directions": directions}


def make_subjects(
    models: Mapping[str, Classifier],
    split: NamedBatches,
    output: Path,
    *,
    seeds: Sequence[int],
    planes: Mapping[str, SpannedPlane] | None = None,
    runs: Sequence[Path] = (),
    metric: MetricFunction | None = top1,
    **making: Any,
) -> list[Subject]:
    """Every model with every pair of directions; folders and titles tell apart only what there are several of.

    A model that does no better than chance on the first images is warned of, and its results will say so.

    Args:
        models: By the name that their folder and pictures take.
        split: The images, for the provenance.
        output: The folder of all.
        seeds: One pair of random directions each.
        planes: What to take instead, by the models' names.
        runs: Trainings whose networks are seen in the plane.
        metric: What the evaluation will count as right.
        **making: Options of `random_directions`.

    Raises:
        ValueError: The images are of other classes than a model's, several pairs of directions are asked for where
            there is one, or trainings are to be seen in more than one plane.
    """
    check_classes(models, split)
    if planes and len(seeds) > 1:
        raise ValueError("`--repeats` draws random directions, but `--directions` gives one pair: choose one of them")
    if runs and len(models) * len(seeds) > 1:
        raise ValueError("`--trajectory` is seen in one plane: give one checkpoint, and no `--repeats`")
    making = {"normalize": "filter", "ignore": "biasbn", "space": "weights", **making}
    guessing = models_at_chance(models, split, data=split.name, metric=metric)
    subjects: list[Subject] = []
    graphs: KnownGraphs = {}
    for name, model in models.items():
        training = identify_training(model.meta)
        for seed in seeds:
            folder = output / name if len(models) > 1 else output
            plane = planes[name] if planes else _random_plane(model, seed, making)
            plane = placed_runs(plane, model, runs) if runs else plane
            several = len(seeds) > 1
            subjects.append(
                Subject(
                    title=f"{name}, seed {seed}" if several else name,
                    model=model,
                    directions=plane.directions,
                    folder=folder / f"seed{seed}" if several else folder,
                    meta={
                        "model": model.meta["name"],
                        "data": split.name,
                        "split": split.split,
                        **plane.entries,
                        **({CHANCE: [name]} if name in guessing else {}),
                        **({RECIPE: dict(recipe)} if (recipe := recorded_recipe(model.meta)) else {}),
                        **({"checkpoint": model.path} if model.path else {}),
                        **({TRAINING: asdict(training)} if training else {}),
                        **({_RUNS: [str(run) for run in runs]} if runs else {}),
                    },
                    graphs=graphs,
                )
            )
    return subjects


def _random_plane(model: Classifier, seed: int, making: Mapping[str, Any]) -> SpannedPlane:
    return SpannedPlane(random_directions(model, seed=seed, **making), meta={"seed": seed, **making})


def search_span(
    subjects: Sequence[Subject],
    split: NamedBatches,
    memory: str | os.PathLike[str],
    *,
    report: Callable[[Trial], None] | None = None,
    options: Options | None = None,
) -> SpanSearch:
    """Find the common span of subjects; a search already made is read from `memory`.

    Args:
        subjects: What is to be compared.
        split: The images.
        memory: A JSON file that holds the search, written if it is not there or belongs to other subjects.
        report: Called after each trial that is made.
        options: Give loss and forward; the defaults if left out.
    """
    chosen = options or Options()
    key = _search_key(subjects, split, chosen)
    if found := _remembered(Path(memory), key):
        return found
    looked_at = [(subject.model, subject.directions) for subject in subjects]
    graphs = subjects[0].graphs if subjects else None
    search = find_span(looked_at, split, loss=chosen.loss, forward=chosen.forward, report=report, graphs=graphs)
    with replacing_text(memory) as file:
        file.write(json.dumps({"subjects": key, **asdict(search)}, indent=1))
    return search


def remembered_search(
    subjects: Sequence[Subject], split: NamedBatches, memory: Path, *, options: Options | None = None
) -> SpanSearch | None:
    """The search that `search_span` would read from `memory`, arguments as there; None where it would search."""
    return _remembered(memory, _search_key(subjects, split, options or Options()))


class _TrialEntry(TypedDict):
    model: int
    span: float
    nonfinite: int
    range_in_stderr: float
    flat_share: float
    failed: list[str]
    decades: NotRequired[float]


class _SearchEntry(TypedDict):
    subjects: list[dict[str, Any]]
    span: float
    visible: bool
    trials: list[dict[str, Any]]


def _remembered(memory: Path, key: Any) -> SpanSearch | None:
    stored = read_json(memory, "memory of a search for a span") if memory.exists() else {}
    if stored.get("subjects") != key:
        return None
    try:
        check_record(stored, _SearchEntry)
        for trial in stored["trials"]:
            check_record(trial, _TrialEntry)
        if not 0 < stored["span"] < np.inf:
            raise ValueError(f"`span` must be positive, got {stored['span']}")
    except ValueError as problem:
        raise ValueError(f"{memory} is damaged: {problem}; remove it, and the span is searched again") from None
    trials = tuple(Trial(**{**trial, "failed": tuple(trial["failed"])}) for trial in stored["trials"])
    return SpanSearch(stored["span"], stored["visible"], trials)


def _search_key(subjects: Sequence[Subject], split: NamedBatches, options: Options) -> Any:
    """What a search is remembered by, as JSON holds it."""
    images = digest_tensors(_named_tensors(next(iter(split))))
    shown = {"images": images, "population": split.population, "gradscape": __version__}
    # What is usual goes without saying: searches were remembered before there was a choice.
    measured = {role: name for role, name in _identities(options).items() if name != _identities(Options())[role]}
    shown |= {"functions": measured} if measured else {}
    return json.loads(json.dumps([{**subject.key, **shown} for subject in subjects]))


def _named_tensors(batch: tuple[Any, Any]) -> Iterator[tuple[str, Tensor]]:
    """What a batch holds, by names that tell where."""
    for role, part in zip(("images", "labels"), batch, strict=True):
        for way, leaf in leaves_in(part):
            yield ".".join((role, *map(str, way))), leaf


def _identities(options: Options) -> dict[str, str]:
    return Task(loss=options.loss, metric=None, forward=options.forward).identities()


def span_axes(span: float, steps: int) -> Axes:
    """A square grid from −span to span with `steps` points on a side."""
    axis = np.linspace(-span, span, steps)
    return axis, axis


def framed_axes(subjects: Sequence[Subject], steps: int) -> Axes | None:
    """The grid around the networks that are seen in the subjects' plane; None where there are none."""
    placed = [Trajectory.from_entry(entry) for subject in subjects for entry in subject.meta.get("trajectories", ())]
    return frame_axes(placed, steps) if placed else None


def settle_axes(
    subjects: Sequence[Subject],
    load: Callable[..., NamedBatches],
    memory: Path,
    *,
    span: float | None,
    steps: int,
    grid: Axes | None,
    options: Options | None = None,
) -> tuple[Axes, SpanSearch | None]:
    """The grid for all subjects: as given, of a given half-width, around networks, or of one that is searched.

    Args:
        subjects: What is to be compared.
        load: Loads so many images.
        memory: Where a search is remembered.
        span: Half-width; None to search, or to frame the networks that are seen in the plane.
        steps: Points on a side, or on the longer one.
        grid: (alphas, betas) instead of all that.
        options: Give loss and forward to a search; the defaults if left out.

    Returns:
        The axes, and the search if there was one.
    """
    if grid is not None:
        return grid, None
    if span is not None:
        return span_axes(span, steps), None
    if framed := framed_axes(subjects, steps):
        return framed, None
    search = search_span(subjects, load(limit=SPAN_IMAGES), memory, options=options)
    return span_axes(search.span, steps), search


def evaluate_subjects(
    subjects: Sequence[Subject],
    split: NamedBatches,
    axes: Axes,
    *,
    search: SpanSearch | None = None,
    until: float | None = None,
    live: bool = False,
    report: Callable[[str, Progress], None] | None = None,
    options: Options | None = None,
) -> list[Surface]:
    """Evaluate every subject's surface into `surface.h5` in its folder.

    Args:
        subjects: What is looked at.
        split: The images.
        axes: (alphas, betas) for all of them.
        search: The search that gave the span, for the provenance.
        until: Moment on the monotonic clock at which to stop, s; the subjects share the time left.
        live: Keep `live.html` in the folder up to date meanwhile.
        report: Called with the subject's title and its progress.
        options: How, as far as the arguments above do not say it; the defaults if left out.
    """
    if live and min(map(len, axes)) < 2:
        raise ValueError("`--live` draws a map, which takes at least 2 alphas and 2 betas: leave it out")
    extent = {"span": float(max(np.abs(axis).max() for axis in axes))}
    if search:
        extent["span_search"] = json.loads(json.dumps([asdict(trial) for trial in search.trials]))
    surfaces = []
    for number, subject in enumerate(subjects):
        seconds = None if until is None else (until - time.monotonic()) / (len(subjects) - number)
        own = replace(
            options or Options(),
            path=subject.folder / "surface.h5",
            meta={**subject.meta, **extent, **calibration_names(options or Options())},
            seconds=None if seconds is None else max(seconds, _LEAST_SECONDS),
            report=partial(report, subject.title) if report else None,
            preview=LivePage(subject.folder, subject.title).show if live else None,
        )
        grid = dict(zip(_AXES, axes, strict=True))
        surface = evaluate_grid(
            Surface, subject.model, split, subject.directions, axes=grid, options=own, graphs=subject.graphs
        )
        surfaces.append(surface)
    return surfaces


def describe_directions(subjects: Sequence[Subject]) -> str:
    """What the directions of each subject move, and what they leave."""
    summaries = ((subject.title, summarize_direction(subject.model, subject.directions[0])) for subject in subjects)
    return "\n".join(f"{title}: {summary}" for title, summary in summaries)


def advice_before(
    num_images: int, *, repeats: int, population: int | None = None, batch_size: int | None = None
) -> str:
    """What to know before several draws are evaluated to be compared; "" where the images will do.

    Args:
        num_images: How many images each draw is to see.
        repeats: Number of draws of directions.
        population: How many images there are without a limit, if known.
        batch_size: Images in a forward pass, if that was chosen.
    """
    size = block_images(batch_size)
    blocks = -(-num_images // size)
    if repeats == 1 or blocks >= LEAST_BLOCKS:
        return ""
    needed = LEAST_BLOCKS * size
    if population is None or population >= needed:
        advice = f"give --limit {needed} or more"
    elif num_images >= LEAST_BLOCKS:
        advice = f"there are only {population}, so give --batch-size {num_images // LEAST_BLOCKS}"
    else:
        advice = f"there are only {population}"
    return (
        f"{num_images} images are {blocks} block{'s' if blocks > 1 else ''} of {size}: gradscape compare needs "
        f"{LEAST_BLOCKS} blocks ({needed} images) for intervals; {advice}"
    )


def advice_on_loss(models: Mapping[str, Classifier], loss: str) -> str:
    """Say which networks were trained with another loss than the one drawn, so far as it is not the cross-entropy.

    Args:
        models: By name.
        loss: The loss of the landscape, as `find_loss` takes it.

    Returns:
        A line for each of them; "" where there are none.
    """
    metas = {name: {**model.meta, "loss": loss} for name, model in models.items()}
    others = {name: meta for name, meta in metas.items() if recorded_recipe(meta).get("loss") != loss}
    told = {name: describe_trained_loss(meta) for name, meta in others.items()}
    return "\n".join(f"{name}: {said}; `--loss` takes another" for name, said in told.items() if said)


def describe_search(search: SpanSearch, subjects: Sequence[Subject]) -> str:
    """The table of trials: for each span tried on each subject, which criterion failed; what needs a log scale."""
    lines = ["span search in fp32 (widest half-width at which every landscape is visible):"]
    for trial in search.trials:
        verdict = "visible" if trial.visible else "not visible: " + "; ".join(trial.failed)
        lines.append(f"  {subjects[trial.model].title}  R = {trial.span:<10g} {verdict}")
    lines.append(
        f"span: {search.span:g}" + ("" if search.visible else " (warning: not every landscape is visible at any R)")
    )
    nearest = {trial.model: trial for trial in search.trials}  # the last of each, nearest to the common R
    lines += [
        f"log scale: {subjects[model].title} spans {trial.decades:.1f} decades at R = {trial.span:g}; "
        "gradscape plot --scale raw draws it evenly"
        for model, trial in nearest.items()
        if trial.decades > WIDE
    ]
    return "\n".join(lines)
