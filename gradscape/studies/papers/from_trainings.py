"""Figures that are made of training logs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.training_log import TrainingLog, load_logs

__all__ = ["TrainingFigure"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingFigure(PaperFigure):
    """A figure of how networks were trained.

    Attributes:
        trainings: Runs that make it, in the order of the folders: a folder's name -> model and options of
            `gradscape train`.
        draw: From the logs to a page.
        fewest: How many there must be at least; None for as many as `trainings` are.
    """

    trainings: Mapping[str, str]
    draw: Callable[[Sequence[TrainingLog]], Drawing]
    fewest: int | None = None

    @property
    def needs(self) -> str:
        """What must be given, in words."""
        count = len(self.trainings)
        many = f"{self.fewest} to {count}" if self.fewest and self.fewest < count else str(count)
        return f"{many} run folder{'s' if count > 1 else ''} of `gradscape train` such as {', '.join(self.trainings)}"

    @property
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "RUN_DIR..."

    def make(self, name: str, folders: Sequence[Path]) -> Drawing:
        """Draw it.

        Args:
            name: The figure's name.
            folders: Run folders, or the metrics.csv in them.

        Raises:
            ValueError: There are more or fewer than it takes, or one holds no metrics.csv.
            FileNotFoundError: One is not there.
        """
        commands = [f"gradscape train {options} -o runs/{folder}" for folder, options in self.trainings.items()]
        count = len(folders)
        if count < (self.fewest or len(commands)):
            raise ValueError(f"`RUN_DIR` must be {self.needs}; {name} got {count}. Make one with `{commands[count]}`")
        if count > len(commands):
            raise ValueError(f"`RUN_DIR` must be {self.needs}; {name} got {count}: leave some out")
        for path, command in zip(folders, commands, strict=False):
            if not path.exists():
                raise FileNotFoundError(f"there is no run folder {path}; make one with `{command}`")
        logs = load_logs(folders)
        for path, log, command in zip(folders, logs, commands, strict=False):
            if not log.runs:
                raise ValueError(f"{path} must hold a metrics.csv for {name}; make one with `{command}`")
        drawing = self.draw(logs)
        return replace(drawing, meta={**drawing.meta, "trainings": _provenance(logs)})


def _provenance(logs: Sequence[TrainingLog]) -> dict[str, object]:
    return {log.title: {key: log.meta.get(key) for key in ("name", "recipe", "data", "scores")} for log in logs}
