"""Figures that are made of published values, with networks of one's own laid over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.published import PublishedRow, published_table
from gradscape.studies.papers.training_log import TrainingLog, load_logs

__all__ = ["TableFigure"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class TableFigure(PaperFigure):
    """A figure of published values.

    Attributes:
        paper: The paper of the table, as its figures are named.
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
    def arguments(self) -> str:
        """The same as arguments of `gradscape figure`."""
        return "[RUN_DIR...]" if self.log else "[CKPT|RUN_DIR...]"

    @property
    def _wanted(self) -> str:
        return "run folders of `gradscape train`" + ("" if self.log else " or checkpoints")

    def make(self, name: str, paths: Sequence[Path]) -> Drawing:
        """Draw it from the published values, and from what was trained, if anything.

        Args:
            name: The figure's name.
            paths: Run folders or checkpoints of networks to lay over the table.

        Raises:
            ValueError: One holds no checkpoint or metrics.csv that the figure needs.
            FileNotFoundError: One is not there.
        """
        network = self.training.partition(" ")[0]
        command = f"gradscape train {self.training} -o runs/{network}"
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(f"there is no run folder or checkpoint {path}; make one with `{command}`")
        logs = load_logs(paths)
        for path, log in zip(paths, logs, strict=True):
            missing = ["checkpoint"] if self.checkpoint and not log.meta else []
            missing += ["metrics.csv"] if self.log and not log.runs else []
            if missing:
                raise ValueError(f"{path} must hold a {missing[0]} for {name}; make one with `{command}`")
        drawing = self.draw(published_table(self.paper, self.table), logs)
        meta = {"table": f"{self.paper} {self.table}", "laid over": [log.title for log in logs]}
        return replace(drawing, meta={**meta, **drawing.meta})
