"""The demo: two small networks on digits, trained and compared, every kind of picture, and a report of it all."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gradscape._files import replacing
from gradscape.data import Split, load_split
from gradscape.data.pictures import load_pictures
from gradscape.landscape import Line, Options, Progress, evaluate_line, random_directions
from gradscape.models import Classifier
from gradscape.studies import attention, cam, fusion, tsne
from gradscape.studies import planes as study
from gradscape.studies.drawing import draw_line, draw_training
from gradscape.studies.image_records import record_test
from gradscape.studies.networks import common_image_size, load_models
from gradscape.studies.report import write_report
from gradscape.studies.subjects import draw_subjects
from gradscape.studies.tested_images import describe_test
from gradscape.studies.training import train_networks
from gradscape.training import TrainingRun, create_recipe

__all__ = ["MODELS", "STAGES", "run_demo"]

MODELS = ("upanet16", "upanet16_final_gap")

STAGES = {
    "training two networks": 75.0,
    "searching a span that shows both landscapes": 60.0,
    "evaluating the landscapes": 80.0,
    "drawing them": 15.0,
    "explaining a few digits": 10.0,
    "embedding the test images": 5.0,
    "writing the report": 5.0,
}
"""What the demo does, and how many seconds each stage takes on two quiet cores."""

_DATA = "digits"
_RECIPE = "digits"
# As accurate within half a percent as with the recipe's own five epochs of larger batches, and sooner.
_SOONER: dict[str, Any] = {"epochs": 4, "batch_size": 64, "learning_rate": 0.03}
_STEPS = 11
_LINE_STEPS = 21
_IMAGES = 256  # eight blocks: as few as an interval of a metric can be told from
_SPAN_IMAGES = 64
_OPTIONS = Options(precision="fp32", batch_size=128)  # so little work does not repay trials of others
_PICTURES = 6  # of the ten classes one each
_METHODS = ("gradcam", "gradcam++")
_LAYER = "stages.1"  # 8 × 8 pixels, of which the last stage leaves 2 × 2
_EMBEDDED = 355  # all images of the test split


def run_demo(
    output: Path,
    *,
    seed: int,
    device: str,
    begin: Callable[[str], object],
    report: Callable[[str, Progress], None],
    show: Callable[[Path], object],
) -> Path:
    """Train, evaluate, explain, draw and write the report; a run that was stopped goes on where it was.

    Args:
        output: Folder of everything.
        seed: Of training and directions.
        device: Where the landscapes are evaluated.
        begin: Called with each of `STAGES` as it begins.
        report: Called with what is being evaluated and its progress.
        show: Called with a picture as soon as there is something to look at.

    Returns:
        The report.
    """
    training, searching, evaluating, drawing, explaining, embedding, writing = STAGES
    begin(training)
    models = load_models([run.checkpoint for run in _train(output, seed=seed, show=show)], device)
    images = load_split(_DATA, "train", limit=_IMAGES, seed=seed)
    subjects = study.make_subjects(models, images, output, seeds=[seed])
    begin(searching)
    few = load_split(_DATA, "train", limit=_SPAN_IMAGES, seed=seed)
    search = study.search_span(subjects, few, output / "span.json")
    begin(evaluating)
    axes = study.span_axes(search.span, _STEPS)
    surfaces = study.evaluate_subjects(subjects, images, axes, search=search, report=report, options=_OPTIONS)
    line = _line(subjects[0], images, search.span, output, seed=seed, report=report)
    begin(drawing)
    _show_first(draw_subjects(subjects, surfaces, output), show)
    _show_first(draw_line(line, output), show)
    begin(explaining)
    _show_first(_look_inside(models, output, seed=seed), show)
    begin(embedding)
    _show_first(_embed(models, output, seed=seed), show)
    begin(writing)
    command = shlex.join(["gradscape", "demo", "--seed", str(seed), "-o", str(output)])
    return write_report([output], output / "index.html", command=command)


def _train(output: Path, *, seed: int, show: Callable[[Path], object]) -> list[TrainingRun]:
    """The networks; the curves of each are drawn at once, so that there is something to look at."""
    train, test = (load_split(_DATA, name) for name in ("train", "test"))
    runs = []
    for name in MODELS:
        (run,) = train_networks(
            name,
            train,
            test,
            recipe=create_recipe(_RECIPE, **_SOONER),
            recipe_name=_RECIPE,
            output=output / name / "training",
            seed=seed,
            progress=False,
        )
        about = f"tested on {describe_test(record_test(test))}"
        _show_first(draw_training([run.metrics], output / name, about=about), show)
        runs.append(run)
    return runs


def _line(
    first: study.Subject,
    images: Split,
    span: float,
    output: Path,
    *,
    seed: int,
    report: Callable[[str, Progress], None],
) -> Line:
    """A line through one of the networks."""
    return evaluate_line(
        first.model,
        images,
        random_directions(first.model, seed=seed)[0],
        np.linspace(-span, span, _LINE_STEPS),
        path=output / "line.h5",
        meta={**first.meta, "span": span},
        report=lambda progress: report("line", progress),
        precision=_OPTIONS.precision,
        batch_size=_OPTIONS.batch_size,
    )


def _look_inside(models: Mapping[str, Classifier], output: Path, *, seed: int) -> list[Path]:
    """Heatmaps, attention and features for a few digits."""
    pictures = load_pictures(_write_pictures(output / "images", seed=seed), common_image_size(models))
    explained = cam.explain_pictures(models, pictures, methods=_METHODS, target_layer=_LAYER, measured=True)
    explained.save(output / "cam")
    written = cam.draw_explanations(explained, output / "cam")
    for name, model in models.items():
        # Only the numbers: pictures of all blocks take longer than everything else, and the report draws them anyway.
        attention.attend_pictures(name, model, pictures).save(output / "attention" / name)
        fusion.fuse_pictures(name, model, pictures).save(output / "fusion" / name)
    return written


def _embed(models: Mapping[str, Classifier], output: Path, *, seed: int) -> list[Path]:
    """Where all test images lie."""
    images = tsne.choose_images(_DATA, "test", classes=None, limit=_EMBEDDED, seed=seed)
    embedded = []
    for one in tsne.embed_models(models, images, seed=seed):
        one.save(output / "tsne")
        embedded.append(one)
    return tsne.draw_embeddings(embedded, output / "tsne")


def _show_first(written: Sequence[Path], show: Callable[[Path], object]) -> None:
    """Show one picture that any program opens."""
    for path in [path for path in written if path.suffix == ".png"][:1]:
        show(path)


def _write_pictures(folder: Path, *, seed: int) -> Sequence[Path]:
    """A few test images, each of another class, as files for commands that take files."""
    images, labels = next(iter(load_split(_DATA, "test", limit=_PICTURES, seed=seed)))
    files = []
    for image, label in zip(images, labels.tolist(), strict=True):
        files.append(folder / f"digit-{label}.png")
        with replacing(files[-1]) as partial:
            pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(partial)
    return files
