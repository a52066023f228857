"""Figures that are made of training logs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from gradscape.studies.papers.figure import Drawing, Given, PaperFigure
from gradscape.studies.papers.published import PublishedRow, published_table
from gradscape.studies.papers.training_log import TrainingLog, load_logs

__all__ = ["TableFigure", "TrainingFigure"]


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
    def inputs(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "RUN_DIR..."

    def make(self, given: Given) -> Drawing:
        """Draw it from run folders, or from the metrics.csv in them."""
        given.refuse("images", "data", "steps", "split", "limit", "classes", drawn_from="training logs")
        commands = [f"gradscape train {options} -o runs/{folder}" for folder, options in self.trainings.items()]
        count = len(given.paths)
        if count < (self.fewest or len(commands)):
            raise ValueError(
                f"`RUN_DIR` must be {self.needs}; {given.name} got {count}. Make one with `{commands[count]}`"
            )
        if count > len(commands):
            raise ValueError(f"`RUN_DIR` must be {self.needs}; {given.name} got {count}: leave some out")
        for path, command in zip(given.paths, commands, strict=False):
            if not path.exists():
                raise FileNotFoundError(f"there is no run folder {path}; make one with `{command}`")
        logs = load_logs(given.paths)
        for path, log, command in zip(given.paths, logs, commands, strict=False):
            if not log.runs:
                raise ValueError(f"{path} must hold a metrics.csv for {given.name}; make one with `{command}`")
        drawing = self.draw(logs)
        return Drawing(drawing.figure, drawing.arrays, drawing.said, {**drawing.meta, "trainings": _provenance(logs)})


def _provenance(logs: Sequence[TrainingLog]) -> dict[str, object]:
    return {log.title: {key: log.meta.get(key) for key in ("name", "recipe", "data", "scores")} for log in logs}


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TableFigure(PaperFigure):
    """A figure of published values.

    Attributes:
        paper: The paper of the table, as in published.csv.
        table: The table's number there.
        training: Model and options of `gradscape train` that make a network to lay over it.
        draw: From the table's rows and the networks laid over them to a page.
        checkpoint: Whether the networks' checkpoints must be there.
        log: Whether their metrics.csv must be there.
    """

    paper: str
    table: str
    training: str
    draw: Callable[[Sequence[PublishedRow], Sequence[TrainingLog]], Drawing]
    checkpoint: bool = True
    log: bool = False

    @property
    def needs(self) -> str:
        """What must be given, in words."""
        return f"nothing; networks to lay over the table, as {self._wanted}"

    @property
    def inputs(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "[RUN_DIR...]" if self.log else "[CKPT|RUN_DIR...]"

    @property
    def _wanted(self) -> str:
        return "run folders of `gradscape train`" + ("" if self.log else " or checkpoints")

    def make(self, given: Given) -> Drawing:
        """Draw it from the published values, and from what was trained, if anything."""
        given.refuse("images", "data", "steps", "split", "limit", "classes", drawn_from="a published table")
        network = self.training.partition(" ")[0]
        command = f"gradscape train {self.training} -o runs/{network}"
        for path in given.paths:
            if not path.exists():
                raise FileNotFoundError(f"there is no run folder or checkpoint {path}; make one with `{command}`")
        logs = load_logs(given.paths)
        for path, log in zip(given.paths, logs, strict=True):
            missing = ["checkpoint"] if self.checkpoint and not log.meta else []
            missing += ["metrics.csv"] if self.log and not log.runs else []
            if missing:
                raise ValueError(f"{path} must hold a {missing[0]} for {given.name}; make one with `{command}`")
        drawing = self.draw(published_table(self.paper, self.table), logs)
        meta = {"table": f"{self.paper} {self.table}", "laid over": [log.title for log in logs], **drawing.meta}
        return Drawing(drawing.figure, drawing.arrays, drawing.said, meta)
