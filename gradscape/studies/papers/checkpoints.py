"""The checkpoints that a figure is made of: counted, loaded under titles, and described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gradscape._digest import digest_model
from gradscape._names import tell_apart
from gradscape.models import Classifier
from gradscape.studies.networks import NetworkKind, load_finite_models, network_kind
from gradscape.studies.papers.wording import short_name, training_command, training_data
from gradscape.studies.tested_images import TRAINING_IMAGES, accuracy_interval, scored_elsewhere

__all__ = ["Models", "WantedNetworks", "describe_networks", "load_titled", "provenance_of"]

Models = Mapping[str, Classifier]

_SCORES: dict[NetworkKind, tuple[str, str]] = {
    "classifier": ("test_accuracy", "accuracy"),
    "detector": ("test_ap", "AP"),
    "segmenter": ("test_iou", "mean IoU"),
}


@final
@dataclass(frozen=True)
class WantedNetworks:
    """Networks that make a figure.

    Attributes:
        names: As `create_model` takes them, in the order of the checkpoints.
        training: Options of `gradscape train` that make them.
        fewest: How many there must be at least; None for all.
        repeated: Whether there may be more, all of them trainings of one network.
    """

    names: Sequence[str]
    training: str
    fewest: int | None = None
    repeated: bool = False

    def __str__(self) -> str:
        count = len(self.names)
        many = f"{self.fewest} to {count}" if self.fewest else str(count)
        several = ", or several trainings of it" if self.repeated else ""
        return f"{many} network{'s' if count > 1 else ''} such as {', '.join(self.names)}{several}"

    def check(self, figure: str, checkpoints: Sequence[Path]) -> None:
        """Refuse too few, too many or missing checkpoints.

        Args:
            figure: The figure's name.
            checkpoints: Files that were given for it.

        Raises:
            ValueError: There are more or fewer.
            FileNotFoundError: One is not there.
        """
        count = len(checkpoints)
        if count < (self.fewest or len(self.names)):
            raise ValueError(f"`CKPT` must be {self}; {figure} got {count}. Make one with `{self.command(count)}`")
        if count > len(self.names) and not self.repeated:
            raise ValueError(f"`CKPT` must be {self}; {figure} got {count}: leave some out")
        for number, path in enumerate(checkpoints):
            if not path.is_file():
                command = self.command(min(number, len(self.names) - 1))
                raise FileNotFoundError(f"there is no checkpoint {path}; make one with `{command}`")

    def command(self, number: int) -> str:
        """The command that trains one of them; -1 for the last."""
        return training_command(self.names[number], self.training)


def load_titled(paths: Sequence[Path], device: str) -> dict[str, Classifier]:
    """Load checkpoints by their networks' names without options, where these tell them apart.

    Raises:
        ValueError: A network's values are not finite.
    """
    models = load_finite_models(paths, device)
    titles = tell_apart([[short_name(model.meta["name"]) for model in models.values()], list(models)])
    return dict(zip(titles, models.values(), strict=True))


def describe_networks(models: Models) -> str:
    """How well each network does on its test images, and what it was trained on, as far as checkpoints tell."""
    untested = any(scored_elsewhere(model.meta) == TRAINING_IMAGES for model in models.values())
    kind = network_kind(models)
    score = _SCORES[kind][1] if untested else f"test {_SCORES[kind][1]}"
    if kind == "classifier" and any(model.meta.get("test") for model in models.values()):
        score += " with its 95 % interval over images"
    data = {title: training_data(model.meta) for title, model in models.items()}
    said = {title: f"{_full_name(title, model)} {_score(model, kind)}" for title, model in models.items()}
    if len(set(data.values())) > 1:
        listed = (f"{said[title]} (trained on {data[title] or 'unknown data'})" for title in models)
        return f"{score}: {', '.join(listed)}"
    trained = next(iter(data.values()))
    return f"{f'trained on {trained}, ' if trained else ''}{score}: {', '.join(said.values())}"


def provenance_of(models: Models) -> dict[str, Any]:
    """Which networks, exactly."""
    return {
        title: {
            "name": model.meta["name"],
            "weights": digest_model(model),
            "scores": model.meta.get("scores"),
        }
        for title, model in models.items()
    }


def _full_name(title: str, model: Classifier) -> str:
    name: str = model.meta["name"]
    return name if short_name(name) == title else f"{title} ({name})"


def _score(model: Classifier, kind: NetworkKind) -> str:
    scores = model.meta.get("scores")
    score = scores.get(_SCORES[kind][0]) if isinstance(scores, dict) else None
    if not isinstance(score, float):
        return "not recorded"
    elsewhere = scored_elsewhere(model.meta)
    interval = accuracy_interval(model.meta, score) if kind == "classifier" else ""
    return f"{100 * score:.1f} %" + (f" ({interval})" if interval else "") + (f" of {elsewhere}" if elsewhere else "")
