"""What our own trainings reached: one row for each run in own_scores.csv."""

import csv
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["OWN_SCORES", "OwnScore"]


@dataclass(frozen=True)
class OwnScore:
    """The outcome of one training.

    Attributes:
        model: The model's name, options and attentions included.
        data: Name of the data set.
        epochs: Epochs trained.
        accuracy: Test accuracy after the last epoch, in [0, 1].
        parameters: Parameters of the network for that data.
    """

    model: str
    data: str
    epochs: int
    accuracy: float
    parameters: int

    @property
    def efficiency(self) -> float:
        """Test accuracy in percent per million parameters (E in UPANets' tables)."""
        return 100 * self.accuracy / (self.parameters / 1e6)


def _read_rows() -> tuple[OwnScore, ...]:
    text = files("gradscape.models").joinpath("own_scores.csv").read_text(encoding="utf-8")
    return tuple(
        OwnScore(row["model"], row["data"], int(row["epochs"]), float(row["accuracy"]), int(row["parameters"]))
        for row in csv.DictReader(text.splitlines())
    )


OWN_SCORES = _read_rows()
