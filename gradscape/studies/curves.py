"""A curve between two networks beside the straight line: fitted, evaluated along, and drawn in its plane."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch.utils.data import DataLoader

from gradscape.data import Split
from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import (
    Curve,
    CurveKind,
    Detour,
    Line,
    Options,
    Progress,
    Surface,
    Value,
    fit_curve,
    measure_detour,
)
from gradscape.landscape.batch_norm import BatchNorm
from gradscape.landscape.engine import running_statistics
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.landscape.paths.curve_kinds import CURVE
from gradscape.models import Classifier
from gradscape.studies.drawing import draw_curve, draw_surface
from gradscape.studies.line import LinePath
from gradscape.studies.recalibration import calibration_names
from gradscape.studies.spanned_planes import frame_axes

__all__ = ["CurvePath", "fit_beside", "settled_norm"]

_log = logging.getLogger(__name__)

_BATCH = 128  # images of a step, as in the paper
_LEAST_SECONDS = 1e-3  # when the time is up: there is still a first epoch, and every point gets its first images

Report = Callable[[str, Progress], None]


def settled_norm(models: Mapping[str, Classifier], batch_norm: str | None) -> BatchNorm | None:
    """The treatment of batch norms that line and curve share: along a curve running statistics have to be measured.

    Args:
        models: The two networks.
        batch_norm: What was asked for.
    """
    first = next(iter(models.values()))
    return "recalibrated" if batch_norm is None and running_statistics(first) else cast("BatchNorm | None", batch_norm)


def fit_beside(
    line: LinePath,
    models: Mapping[str, Classifier],
    taught: Split,
    file: Path,
    *,
    kind: str,
    epochs: int,
    learning_rate: float,
    seed: int,
    options: Options,
    until: float | None = None,
    report: Callable[[int, float], None] | None = None,
) -> "CurvePath | None":
    """Fit a curve between two networks into a file; a fit that was stopped goes on, a finished one is read.

    Args:
        line: The straight line between them.
        models: The two networks, by name.
        taught: Training images, which are shuffled and not augmented.
        file: The `.safetensors` file.
        kind: "bezier" or "chain".
        epochs: How often all images are seen.
        learning_rate: At the beginning.
        seed: Of everything random.
        options: Give the loss.
        until: Moment on the monotonic clock at which to stop, s.
        report: Called after each epoch with the epochs done and the mean loss of the last.

    Returns:
        The curve; None where the time was up before.
    """
    first, second = models.values()
    # A batch of one image has no variance that batch norms could divide by.
    loader = DataLoader(taught.dataset, _BATCH, shuffle=True, drop_last=taught.num_images % _BATCH == 1)
    try:
        curve = fit_curve(
            first,
            second,
            loader,
            kind=cast(CurveKind, kind),  # which `Curve` checks
            epochs=epochs,
            learning_rate=learning_rate,
            seed=seed,
            loss=options.loss,
            path=file,
            report=report,
            seconds=_seconds_until(until),
        )
    except TimeoutError as told:
        _log.warning("no curve yet: %s", str(told).replace("`seconds`", "`--time`"))
        return None
    return CurvePath(curve, line, {"data": taught.name, "split": taught.split})


@dataclass(frozen=True, eq=False)
class CurvePath:
    """A curve beside the straight line between its ends.

    Attributes:
        curve: The curve.
        line: The straight line.
        taught: What it was fitted on: "data" and "split" by name.
    """

    curve: Curve
    line: LinePath
    taught: Mapping[str, str]

    def evaluate(
        self, straight: Line, split: NamedBatches, path: Path, *, until: float | None, report: Report, options: Options
    ) -> Line:
        """Evaluate the curve into an `.h5` file, on the images of the line and at as many points between the networks.

        The file also tells by how much its highest loss and error differ from those of the line.

        Args:
            straight: The line, which was evaluated.
            split: The images.
            path: The file.
            until: Moment on the monotonic clock at which to stop, s.
            report: Called with the progress.
            options: How, as for the line.
        """
        title = f"{self.line.meta['title']}, curve"
        own = self._options(options, path, until=until, report=partial(report, title), meta=self.line.meta)
        ts = straight.alphas[(straight.alphas >= 0) & (straight.alphas <= 1)]
        line = self.curve.evaluate(self.line.model, split, ts, **vars(own))
        highest = {value: _recorded(measure_detour(line, straight, value=value)) for value in _measured(line, straight)}
        line = replace(line, meta={**line.meta, CURVE: {**line.meta[CURVE], **self._taught(), "highest": highest}})
        line.save(path)
        return line

    def evaluate_plane(
        self, split: NamedBatches, path: Path, *, steps: int, until: float | None, report: Report, options: Options
    ) -> Surface | None:
        """Evaluate the plane of the curve into an `.h5` file, which also tells where curve and networks lie in it.

        Args:
            split: The images.
            path: The file.
            steps: Points on the longer side.
            until: Moment on the monotonic clock at which to stop, s.
            report: Called with the progress.
            options: How, as for the line.

        Returns:
            The surface; None where the curve is straight.
        """
        names = self.line.meta["title"], self.line.meta["other"]
        try:
            directions, (way, bend) = self.curve.plane(self.line.model, ends=names)
        except ValueError as problem:
            _log.warning("the curve lies in no plane, so that none is drawn: %s", problem)
            return None
        axes = dict(zip(("alphas", "betas"), frame_axes((way, bend), steps), strict=True))
        meta = {
            **self.line.meta,
            CURVE: {**self.curve.about(), **self._taught()},
            "trajectories": [way.to_entry(), bend.to_entry()],
            "axes": [f"toward {names[1]} (at 1)", f"toward the bend (unit × {self.curve.height:.2g})"],
        }
        title = f"{names[0]}, plane of the curve"
        own = self._options(options, path, until=until, report=partial(report, title), meta=meta)
        graphs = self.line.graphs
        return evaluate_grid(Surface, self.line.model, split, directions, axes=axes, options=own, graphs=graphs)

    def draw(self, straight: Line, along: Line, plane: Surface | None, folder: Path) -> list[Path]:
        """Pictures and tables of line and curve together, and of the plane in a folder of its own."""
        written = draw_curve(along, straight, folder)
        return [*written, *(draw_surface(plane, folder / "plane") if plane is not None else [])]

    def _options(
        self, options: Options, path: Path, *, until: float | None, report: Any, meta: Mapping[str, Any]
    ) -> Options:
        seconds = options.seconds if until is None else _seconds_until(until)
        told = {**meta, **calibration_names(options)}
        return replace(options, path=path, meta=told, seconds=seconds, report=report)

    def _taught(self) -> dict[str, Any]:
        return {"taught": dict(self.taught)}


def _seconds_until(moment: float | None) -> float | None:
    return None if moment is None else max(moment - time.monotonic(), _LEAST_SECONDS)


def _measured(*lines: Line) -> list[Value]:
    return ["loss", *(["error"] if all(np.isfinite(line.error).any() for line in lines) else [])]  # type: ignore[list-item]


def _recorded(detour: Detour) -> dict[str, Any]:
    """As JSON holds it: what is not finite is left out."""
    found = {**asdict(detour), "verdict": detour.verdict}
    return {name: one for name, one in found.items() if not isinstance(one, float) or np.isfinite(one)}
