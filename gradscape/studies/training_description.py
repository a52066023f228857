"""What a caption says of training runs: the images and the recipe behind them."""

from collections.abc import Sequence

from gradscape.studies.paper_figure import path_end
from gradscape.studies.training_log import TrainingLog

__all__ = ["describe_epochs", "describe_logs"]


def describe_logs(logs: Sequence[TrainingLog]) -> str:
    """Say what runs were trained on and by which recipe, as far as their checkpoints tell: once what several share."""
    titles: dict[str, list[str]] = {}
    for log in logs:
        titles.setdefault(_training(log), []).append(log.title)
    if len(titles) == 1:
        return next(iter(titles))
    return "; ".join(f"{', '.join(several)} {training}" for training, several in titles.items())


def describe_epochs(logs: Sequence[TrainingLog]) -> str:
    """Say after how many epochs the runs ended; of checkpoints alone it is not known: an empty text."""
    counts = sorted({len(run["epoch"]) for log in logs for run in log.runs})
    if not counts:
        return ""
    if len(counts) > 1:
        return f"after {counts[0]} to {counts[-1]} epochs"
    return f"after {counts[0]} epoch{'s' if counts[0] > 1 else ''}"


def _training(log: TrainingLog) -> str:
    data, recipe = (log.meta.get(key) for key in ("data", "recipe"))
    known = []
    if isinstance(data, dict) and "name" in data:
        images = f"{data['images']:,} images of " if isinstance(data.get("images"), int) else ""
        known.append(f"trained on {images}{path_end(str(data['name']))}")
    if isinstance(recipe, dict) and "name" in recipe:
        known.append(f"by the recipe {recipe['name']}")
    return " ".join(known) or "of a training that is not recorded"
