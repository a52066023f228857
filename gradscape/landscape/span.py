"""The range at which a landscape can be seen: no outlier flattens the rest, no noise drowns it."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch import nn

from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import (
    ForwardFunction,
    KnownGraphs,
    LossFunction,
    call,
    cross_entropy,
    cut_blocks,
    ignored_label,
)
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.landscape.field import decades
from gradscape.landscape.options import Options
from gradscape.landscape.statistics import UNKNOWN_POPULATION
from gradscape.landscape.surface import Surface

__all__ = ["SPANS", "SPAN_IMAGES", "SPAN_POINTS", "SPAN_STEPS", "SpanSearch", "Trial", "find_span", "judge_span"]

SPANS = tuple(2.0**-k for k in range(9))
SPAN_IMAGES = 256

SPAN_STEPS = 11
SPAN_POINTS = 1 + SPAN_STEPS**2  # of a trial, the origin included
_MIN_RANGE = 10.0  # in median standard errors
_FLAT = 0.02  # of the range
_MAX_FLAT_SHARE = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """One half-width tried on one model, with the three criteria.

    Attributes:
        model: Index of the model.
        span: Half-width R of the grid.
        nonfinite: Points whose loss is not finite; none may be.
        range_in_stderr: (max − min)/median standard error; at least 10.
        flat_share: Share of points below 0.02 after min-max scaling; below ½.
        failed: The criteria that failed, in words; empty when the landscape is visible.
        decades: Powers of ten between the lowest positive loss and the highest. No criterion: a wide range asks for a
            log scale of the picture, not for another R.
    """

    model: int
    span: float
    nonfinite: int
    range_in_stderr: float
    flat_share: float
    failed: tuple[str, ...]
    decades: float = 0.0

    @property
    def visible(self) -> bool:
        """Whether all three criteria hold."""
        return not self.failed


@dataclass(frozen=True)
class SpanSearch:
    """The span chosen, and every trial that led to it.

    Attributes:
        span: Half-width R at which every model's landscape is evaluated.
        visible: False when some model was visible at no R.
        trials: In the order tried.
    """

    span: float
    visible: bool
    trials: tuple[Trial, ...]


def find_span(
    models_and_directions: Sequence[tuple[nn.Module, Sequence[Direction]]],
    batches: Iterable[Any],
    *,
    loss: LossFunction = cross_entropy,
    forward: ForwardFunction = call,
    report: Callable[[Trial], None] | None = None,
    graphs: KnownGraphs | None = None,
) -> SpanSearch:
    """Find the widest half-width R = 2⁻ᵏ, k = 0 … 8, at which the landscape is visible.

    Each R is tried on 11×11 points with the first 256 images in fp32. Visible means: every point is finite,
    max − min is at least 10 times the median standard error, and fewer than half of the points lie below 0.02
    after min-max scaling (no outlier flattens the rest). For several models, the smallest of their winners is
    taken, so that they can be compared; if one is visible nowhere, the smallest R, with a warning.

    Args:
        models_and_directions: Each model with its pair of directions.
        batches: Pairs (inputs, labels) in a fixed order; an attribute `population` tells of how many images
            they are a part.
        loss: As in `evaluate_surface`.
        forward: As in `evaluate_surface`.
        report: Called after each trial.
        graphs: Graphs of these models traced before; new ones are added.

    Raises:
        ValueError: There is no model.

    Source: the search of UPANets, appendix C, made a rule.

    Example:
        >>> import torch
        >>> from gradscape.landscape import random_directions
        >>> net, images = torch.nn.Linear(4, 3), torch.randn(256, 4)
        >>> batches = [(images, net(images).argmax(1))]
        >>> search = find_span([(net, random_directions(net, seed=0))], batches)
        >>> search.span in [2.0**-k for k in range(9)]
        True
    """
    if not models_and_directions:
        raise ValueError("`models_and_directions` must hold at least one model")
    block, *more = islice(cut_blocks(batches, SPAN_IMAGES, ignored=ignored_label(loss)), 2)
    first_images = [(block.inputs, block.labels)]
    population = getattr(batches, "population", None) or (UNKNOWN_POPULATION if more else block.count)
    options = Options(loss=loss, metric=None, forward=forward, precision="fp32", batch_size=64, population=population)
    graphs = {} if graphs is None else graphs  # a model is traced once, not once for every R
    trials: list[Trial] = []
    winners = []
    for index, (model, directions) in enumerate(models_and_directions):
        for span in SPANS:
            axis = np.linspace(-span, span, SPAN_STEPS)
            axes = {"alphas": axis, "betas": axis}
            surface = evaluate_grid(Surface, model, first_images, directions, axes=axes, options=options, graphs=graphs)
            trials.append(judge_span(surface, index, span))
            if report:
                report(trials[-1])
            if trials[-1].visible:
                break
        winners.append(trials[-1])
    if unseen := [str(trial.model) for trial in winners if not trial.visible]:
        _log.warning("no span makes the landscape of model %s visible; taking %g", ", ".join(unseen), SPANS[-1])
    return SpanSearch(min(trial.span for trial in winners), not unseen, tuple(trials))


def judge_span(surface: Surface, model: int, span: float) -> Trial:
    """Apply the three criteria to a surface."""
    loss = surface.loss
    nonfinite = int((~np.isfinite(loss)).sum())
    values = loss[np.isfinite(loss)]
    stderr = surface.loss_stderr[np.isfinite(surface.loss_stderr)]
    spread = float(np.ptp(values)) if len(values) else 0.0
    noise = float(np.median(stderr)) if len(stderr) else np.nan
    ratio = spread / noise if noise else (np.inf if spread else 0.0)
    scaled = surface.minmax()
    flat = float((scaled[np.isfinite(scaled)] < _FLAT).mean()) if len(values) else 1.0
    failed = []
    if nonfinite:
        failed.append(f"{nonfinite} of {loss.size} points are not finite")
    if np.isnan(ratio):  # of a single image
        failed.append("the standard error is unknown, so that nothing tells whether max − min is more than chance")
    elif ratio < _MIN_RANGE:
        failed.append(f"max − min is {ratio:.1f} median standard errors, at least {_MIN_RANGE:g} are needed")
    if flat >= _MAX_FLAT_SHARE:
        failed.append(f"{flat:.0%} of the points lie below {_FLAT:g} of the range, fewer than half may")
    return Trial(model, span, nonfinite, float(ratio), flat, tuple(failed), decades(loss))
