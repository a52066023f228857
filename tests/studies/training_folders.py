"""Run folders as training leaves them, with numbers that a test can tell beforehand."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gradscape.studies.papers.figure import Drawing
from gradscape.studies.papers.from_tables import TableFigure
from gradscape.studies.papers.from_trainings import TrainingFigure
from gradscape.training import create_recipe
from gradscape.training.history import save_metrics
from tests.studies.networks import save_network


def metrics_of(
    *, epochs: int = 6, last_error: float = 0.25, held_out: bool = False, rate: float = 0.1
) -> dict[str, np.ndarray]:
    """Columns of a metrics.csv."""
    epoch = np.arange(float(epochs))
    columns = {
        "epoch": epoch,
        "train_loss": 2.0 - 0.25 * epoch,
        "train_accuracy": 0.25 + 0.0625 * epoch,
        "test_loss": 2.5 - 0.125 * epoch,
        "test_accuracy": np.where(epoch == epochs - 1, 1 - last_error, 0.125),
    }
    if held_out:
        columns |= {"validation_loss": 3.0 - 0.5 * epoch, "validation_accuracy": 0.03125 * epoch}
    return {**columns, "learning_rate": np.full(epochs, rate), "seconds": np.where(epoch == 0, 100.0, 2.0 + epoch)}


def save_training(
    folder: Path,
    name: str | None,
    *,
    recipe: str = "digits",
    data: str = "digits",
    seeds: tuple[dict[str, np.ndarray], ...] = (),
    **changes: Any,
) -> Path:
    """Write the folder of one training, or of several seeds; without a name it holds no checkpoint."""
    runs = seeds or (metrics_of(),)
    for number, columns in enumerate(runs):
        place = folder / f"seed{number}" if len(runs) > 1 else folder
        place.mkdir(parents=True, exist_ok=True)
        rows = [
            {key: column[epoch].item() for key, column in columns.items()} for epoch in range(len(columns["epoch"]))
        ]
        save_metrics(place / "metrics.csv", rows)
        if name is not None:
            about = {"name": recipe, **asdict(create_recipe(recipe, **changes))}
            written = save_network(
                place / "network", name, recipe=about, data={"name": data, "images": 1200}, scores=rows[-1]
            )
            written.rename(place / "model.safetensors")
    return folder


def draw(figure: TrainingFigure | TableFigure, *folders: Path) -> Drawing:
    """The page that a figure makes of run folders."""
    return figure.make("paper:1", folders)


def caption_of(drawing: Drawing) -> str:
    """What the page says below itself, and what is added to it."""
    return " ".join(f"{drawing.figure.get_supxlabel()} · {drawing.said}".split())
