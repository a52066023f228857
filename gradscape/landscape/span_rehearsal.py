"""How far the search for a span will have to go, found by a much smaller one."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from torch import nn

from gradscape.landscape.directions import Direction
from gradscape.landscape.engine import cut_blocks, ignored_label
from gradscape.landscape.evaluate import evaluate_grid
from gradscape.landscape.options import Options
from gradscape.landscape.span import SPAN_STEPS, SPANS, judge_span
from gradscape.landscape.surface import Surface

__all__ = ["rehearse_search"]

_IMAGES = 32


def rehearse_search(
    models_and_directions: Sequence[tuple[nn.Module, Sequence[Direction]]], batches: Iterable[Any], *, options: Options
) -> int:
    """How many trials `find_span` will probably make: its own criteria and points, with the first 32 images.

    Args:
        models_and_directions: As for `find_span`.
        batches: As for `find_span`.
        options: Give loss and forward.
    """
    (block,) = islice(cut_blocks(batches, _IMAGES, ignored=ignored_label(options.loss)), 1)
    images = [(block.inputs, block.labels)]
    few = Options(loss=options.loss, metric=None, forward=options.forward, batch_size=_IMAGES)
    trials = 0
    for model, directions in models_and_directions:
        for span in SPANS:
            axis = np.linspace(-span, span, SPAN_STEPS)
            surface = evaluate_grid(
                Surface, model, images, directions, axes={"alphas": axis, "betas": axis}, options=few
            )
            trials += 1
            if judge_span(surface, 0, span).visible:
                break
    return trials
