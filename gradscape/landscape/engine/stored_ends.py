"""What networks have with their own running statistics, where these are measured anew at every point."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from gradscape._model_state import model_device
from gradscape._profile import spent_on
from gradscape.landscape.directions import Direction
from gradscape.landscape.engine.blocks import Batch, Block
from gradscape.landscape.engine.ledger import Ledger
from gradscape.landscape.engine.network import ready_network
from gradscape.landscape.engine.plan import plain_plan
from gradscape.landscape.engine.work import Work
from gradscape.landscape.engine.workers import Evaluator, Job

__all__ = ["evaluate_stored_ends"]


@spent_on("points")
def evaluate_stored_ends(
    work: Work,
    directions: Sequence[Direction],
    blocks: Iterable[Block],
    digests: Sequence[str],
    *,
    ends: Sequence[float],
) -> dict[str, Any] | None:
    """Evaluate networks as they are stored, in fp32, by the module itself.

    Args:
        work: Gives model, task and population.
        directions: As they were given: running statistics move where they say so.
        blocks: All images, in their order.
        digests: Of the blocks that were evaluated.
        ends: Positions along the first direction.

    Returns:
        For the provenance: alphas, loss, loss_stderr and error (null where unknown) and the number of images; None
        where the images cannot be gone through again.
    """
    coordinates = np.zeros((len(ends), len(directions)))
    coordinates[:, 0] = ends
    plan = plain_plan(work.model, precision="fp32", batch_size=work.first.count)
    ledger = Ledger(len(ends), work.population or work.images)
    with ready_network(work.model, directions, work.task.forward, plan, None) as network:
        evaluator = Evaluator(network, coordinates, work.task, plan, device=model_device(work.model))
        for number, block in enumerate(islice(blocks, len(digests))):
            if block.digest != digests[number]:
                return None
            ledger.open(number, [block])
            evaluator.load([Batch(block.inputs, block.labels, number, block.count)])
            for end in range(len(ends)):
                ledger.enter(end, number, block.count, evaluator.measure_one(Job((end,), (0,)))[0])
    found = ledger.statistics()
    if len(ledger.digests) < len(digests):
        return None
    values = {"loss": found.loss, "loss_stderr": found.stderr, "error": found.error}
    return {
        "alphas": list(map(float, ends)),
        **{name: [float(one) if np.isfinite(one) else None for one in array] for name, array in values.items()},
        "images": int(found.images.max()),
    }
