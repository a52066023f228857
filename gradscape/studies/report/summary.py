"""The table of networks: what they cost and reach."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from gradscape._names import one_line
from gradscape._recipe_record import describe_recipe_differences
from gradscape.figures.style import short_number
from gradscape.landscape import Surface
from gradscape.models import count_macs, count_parameters
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.tables import NONE, Cell, Row, Table
from gradscape.studies.report.trainings import Training
from gradscape.studies.tested_images import TRAINING_IMAGES, accuracy_interval, scored_elsewhere

__all__ = ["network_table"]

_COLUMNS = ("parameters", "MACs", "E")
_MACS = ("MACs", "multiply-adds of convolution and linear layers, for one image")
_CENTER = "loss at the center"
_log = logging.getLogger(__name__)


def network_table(networks: Sequence[ReportedNetwork]) -> Table:
    """Tabulate accuracy, parameters, multiply-adds, efficiency, and the loss of each network on its landscape."""
    landscapes = any(network.of(Surface) for network in networks)
    notes: dict[str, int] = {}
    rows = [
        Row(network.title, "", (*_cost(network, notes), *([_center(network)] if landscapes else [])))
        for network in networks
    ]
    accuracy = "accuracy" if f"of {TRAINING_IMAGES}" in notes else "test accuracy"
    columns, terms = (accuracy, *_COLUMNS), (_MACS, ("E", f"{accuracy} in percent for a million parameters"))
    about_center = ((_CENTER, "of the trained network, on the images of its landscape"),)
    return Table(
        caption="Sizes, and the accuracy that the checkpoint records, with its 95 % interval over images.",
        corner="network",
        columns=(*columns, _CENTER) if landscapes else columns,
        rows=tuple(rows),
        notes=tuple(notes),
        remarks=tuple(filter(None, [_different_trainings(networks)])),
        terms=(*terms, *about_center) if landscapes else terms,
    )


def _different_trainings(networks: Sequence[ReportedNetwork]) -> str:
    """By which recipes the networks were trained, where they differ: by their checkpoints, else by what results say."""
    metas = {
        network.title: network.checkpoint.meta if network.checkpoint else found[0].meta
        for network in networks
        if (found := network.of(Surface)) or network.checkpoint
    }
    return describe_recipe_differences(metas)


def _cost(network: ReportedNetwork, notes: dict[str, int]) -> tuple[Cell, ...]:
    accuracy, macs = _accuracy(network), _macs(network)
    tested = scored_elsewhere(network.checkpoint.meta) if network.checkpoint and accuracy is not None else ""
    note = notes.setdefault(f"of {tested}", len(notes) + 1) if tested else 0
    parameters = count_parameters(network.checkpoint.result) if network.checkpoint else None
    return (
        Cell(NONE, note=note)
        if accuracy is None
        else Cell(f"{100 * accuracy:.2f} %", _interval(network, accuracy), note),
        Cell(NONE if parameters is None else f"{parameters:,}"),
        Cell(NONE if macs is None else f"{macs / 1e6:,.1f} M"),
        Cell(f"{100 * accuracy / (parameters / 1e6):,.1f}" if accuracy is not None and parameters else NONE),
    )


def _accuracy(network: ReportedNetwork) -> float | None:
    """Test accuracy in [0, 1]: by the checkpoint, else by the metrics; None if unknown."""
    scores = network.checkpoint.meta.get("scores") if network.checkpoint else None
    accuracy = scores.get("test_accuracy") if isinstance(scores, Mapping) else None
    if isinstance(accuracy, int | float):
        return float(accuracy)
    trained = [found.result.columns for found in network.of(Training)]
    return float(trained[0]["test_accuracy"][-1]) if trained and "test_accuracy" in trained[0] else None


def _interval(network: ReportedNetwork, accuracy: float) -> str:
    return accuracy_interval(network.checkpoint.meta, accuracy) if network.checkpoint else ""


def _macs(network: ReportedNetwork) -> int | None:
    """Multiply-adds of one image; None without a checkpoint, or where they cannot be counted."""
    if network.checkpoint is None:
        return None
    try:
        return count_macs(network.checkpoint.result, network.checkpoint.result.image_size)
    except (ValueError, TypeError, RuntimeError) as problem:  # a network may refuse a lone image
        _log.warning("multiply-adds of %s cannot be counted: %s", network.title, one_line(problem))
        return None


def _center(network: ReportedNetwork) -> Cell:
    surfaces = network.of(Surface)
    if not surfaces or not np.isfinite(surfaces[0].result.origin.loss):
        return Cell(NONE)
    origin = surfaces[0].result.origin
    stderr = float(origin.stderr)
    return Cell(short_number(float(origin.loss)), f"± {short_number(stderr, 2)}" if stderr > 0 else "")
