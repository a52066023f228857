"""The ways along which loss and error are looked at: a line, and a curve beside it; evaluated, drawn and told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from gradscape.data.named_batches import NamedBatches
from gradscape.figures.surfaces.barrier_wording import describe_alignment, describe_barriers
from gradscape.figures.surfaces.curve_wording import describe_curve, describe_highest
from gradscape.figures.surfaces.line_wording import describe_findings
from gradscape.landscape import Line, Options, Progress
from gradscape.studies.curves import CurvePath
from gradscape.studies.drawing import draw_line
from gradscape.studies.line import LinePath

__all__ = ["Ways", "evaluate_ways"]


@final
@dataclass(frozen=True, eq=False)
class Ways:
    """What was found along a line, and along a curve beside it.

    Attributes:
        lines: "line", and "curve" if there is one.
        findings: What is said of them.
        written: Pictures, tables and the curve.
    """

    lines: Mapping[str, Line]
    findings: tuple[str, ...]
    written: tuple[Path, ...]


def evaluate_ways(
    line: LinePath,
    curve: CurvePath | None,
    split: NamedBatches,
    folder: Path,
    *,
    plane: int,
    until: float | None,
    report: Callable[[str, Progress], None],
    options: Options,
) -> Ways:
    """Evaluate a line into `line.h5`, a curve into `curve.h5` and its plane into `plane/surface.h5`, and draw them.

    Args:
        line: The line.
        curve: A curve beside it, fitted into `curve.safetensors` of the folder.
        split: The images.
        folder: Where to.
        plane: Points on the longer side of the curve's plane; 0 for none.
        until: Moment on the monotonic clock at which to stop, s.
        report: Called with a title and the progress.
        options: How.
    """
    straight = line.evaluate(split, folder / "line.h5", until=until, report=report, options=options)
    lines = {"line": straight}
    findings = [*describe_findings(straight), describe_barriers(straight), describe_alignment(straight.meta)]
    written = draw_line(straight, folder)
    if curve:
        told: dict[str, Any] = {"until": until, "report": report, "options": options}
        along = curve.evaluate(straight, split, folder / "curve.h5", **told)
        plain = curve.evaluate_plane(split, folder / "plane" / "surface.h5", steps=plane, **told) if plane else None
        lines["curve"] = along
        findings += [describe_curve(along.meta), *describe_highest(along)]
        written += [folder / "curve.safetensors", *curve.draw(straight, along, plain, folder)]
    return Ways(lines, tuple(filter(None, findings)), tuple(written))
